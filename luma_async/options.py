"""The options of a new generation, checked on creation (contract section 3)."""

from __future__ import annotations

import re
from typing import Any

from attrs import Attribute, asdict, field, frozen

from luma_async._checks import Validator, flag, link_or_none
from luma_async._text import shown, spelled
from luma_async.errors import ConfigurationError

_BASE64 = re.compile(r"(?:data:image/[a-z0-9.+-]+;base64,)?[A-Za-z0-9+/_-]{16,}={0,2}")


def _brief(value: object) -> str:
    """Return a repr that fits in a line: a picture as base64 may have megabytes."""
    return shown(spelled(value), 60)


def _refused(name: str, value: object, wanted: str) -> ConfigurationError:
    return ConfigurationError(
        f"GenerationOptions({name}={_brief(value)}) is not {wanted}", advice=f"give {name} as {wanted}, or leave it out"
    )


def _written(pattern: str, wanted: str) -> Validator:
    """Build a validator for text of one format."""
    form = re.compile(pattern)

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None and not (isinstance(value, str) and form.fullmatch(value)):
            raise _refused(attribute.name, value, wanted)

    return check


def _picture(_: object, attribute: Attribute[Any], value: object) -> None:
    is_fine = isinstance(value, str) and (link_or_none(value) or _BASE64.fullmatch(value))
    if value is not None and not is_fine:
        raise _refused(attribute.name, value, "an absolute http(s) URL or a picture as base64 text")


def _address(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and link_or_none(value) is None:
        raise _refused(attribute.name, value, "an absolute http(s) URL")


def _switch(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    if value is not None:
        flag(instance, attribute, value)


@frozen(kw_only=True)
class GenerationOptions:
    """The options of a new generation; for None, the relay decides.

    Not every relay supports every option. Checked on creation: a ConfigurationError names the field and its format.
    """

    aspect_ratio: str | None = field(default=None, validator=_written(r"[0-9]{1,4}:[0-9]{1,4}", "text such as '16:9'"))
    """Width to height, such as ``16:9``."""
    expand_prompt: bool | None = field(default=None, validator=_switch)
    """Whether the relay may extend the prompt."""
    loop: bool | None = field(default=None, validator=_switch)
    """Whether the video is a loop: its end leads into its start."""
    image_url: str | None = field(default=None, validator=_picture, repr=_brief)
    """The first frame: a URL, or a picture as base64 text."""
    image_end_url: str | None = field(default=None, validator=_picture, repr=_brief)
    """The last frame, likewise."""
    model_name: str | None = field(
        default=None, validator=_written(r"[\x21-\x7e]{1,100}", "a model's name such as 'ray-v2'")
    )
    """Such as ``ray-v1`` or ``ray-v2``."""
    duration: str | None = field(
        default=None, validator=_written(r"[0-9]{1,4}(\.[0-9]{1,3})?s", "seconds such as '5s'")
    )
    """Seconds, as text with an ``s``: ``5s``."""
    resolution: str | None = field(
        default=None, validator=_written(r"[0-9]{1,5}[pPkK]", "lines or thousands such as '720p' or '4k'")
    )
    """Such as ``720p``."""
    notify_hook: str | None = field(default=None, validator=_address)
    """A URL that the relay calls when the generation has ended."""

    def given(self) -> dict[str, Any]:
        """Return the options that are not None, under the relay's names."""
        return {name: value for name, value in asdict(self).items() if value is not None}
