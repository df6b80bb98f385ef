"""The options of a new generation, checked on creation (contract section 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from attrs import Attribute, asdict, field, frozen
from attrs.validators import optional

from luma_async._checks import Validator, brief, flag, link_or_none
from luma_async.errors import ConfigurationError, LumaError

_BASE64 = re.compile(r"(?:data:image/[a-z0-9.+-]+;base64,)?[A-Za-z0-9+/_-]{16,}={0,2}")


def _fitting(fits: Callable[[Any], object], wanted: str) -> Validator:
    """Build a validator for None, and for each value that *fits*."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None and not fits(value):
            raise ConfigurationError(
                f"GenerationOptions({attribute.name}={brief(value)}) is not {wanted}",
                advice=f"give {attribute.name} as {wanted}, or leave it out",
            )

    return check


def _written(pattern: str, wanted: str) -> Validator:
    """Build a validator for text of one format."""
    form = re.compile(pattern)

    return _fitting(lambda value: isinstance(value, str) and form.fullmatch(value), wanted)


_picture = _fitting(
    lambda value: isinstance(value, str) and (link_or_none(value) or _BASE64.fullmatch(value)),
    "an absolute http(s) URL or a picture as base64 text",
)
_address = _fitting(link_or_none, "an absolute http(s) URL")
_switch = optional(flag)


class SubmitRecord(Protocol):
    """Learns of each try of one submit, for ``LumaClient.submit``: such as to keep on disk what may be paid for.

    The submit waits for both methods. It ends with what one of them raises, such as a ``JournalError``, but a passing
    error counts as a try.
    """

    async def before_sending(self) -> None:
        """Note that a try is about to be sent; until then, the relay cannot have taken the submit.

        It has its slot and its turn. From now on the relay may take it, until ``before_pause`` or the end of the call.
        """
        ...

    async def before_pause(self, error: LumaError, seconds: float) -> None:
        """Note that the relay has certainly not taken the try, and that the next one follows after *seconds*.

        *error* is why. The pause starts when this returns.
        """
        ...


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
    """Whether the end is to lead into the beginning."""
    image_url: str | None = field(default=None, validator=_picture, repr=brief)
    """The first frame: a URL, or a picture as base64 text."""
    image_end_url: str | None = field(default=None, validator=_picture, repr=brief)
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
        """Return the options that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


_OF_AN_EXTENSION = frozenset({"expand_prompt", "image_url", "image_end_url", "notify_hook"})


def submit_fields(prompt: object, options: object) -> dict[str, Any]:
    """Return the fields that request a new generation, or raise a ConfigurationError about *prompt* or *options*."""
    user_prompt = _checked_prompt(prompt)
    if not isinstance(options, GenerationOptions):
        raise ConfigurationError(
            f"options={brief(options)} is not a GenerationOptions value",
            advice='give options as luma_async.GenerationOptions(aspect_ratio="16:9", ...)',
        )
    return {"prompt": user_prompt, **options.given()}


def extension_fields(prompt: object, options: object) -> dict[str, Any]:
    """Do the same for the extension of a generation, which has fewer options."""
    fields = submit_fields(prompt, options)
    for name in fields.keys() - _OF_AN_EXTENSION - {"prompt"}:
        raise ConfigurationError(
            f"an extension has no {name}",
            advice=f"leave {name} out: an extension has {', '.join(sorted(_OF_AN_EXTENSION))}; the rest is its task's",
        )
    return fields


_NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(rf"(?!\t|\r?\n)[\x00-\x1f\x7f-\x9f]|[\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
"""Control characters other than tabs and line breaks, lone surrogates, and Unicode's noncharacters.

They show that a prompt was read in the wrong encoding, and the relay would charge for a video of it.
"""


def _checked_prompt(prompt: object) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigurationError(f"{brief(prompt)} is not a prompt", advice="give text that says what the video shows")
    if unfit := _UNFIT.search(prompt):
        raise ConfigurationError(
            f"{brief(prompt)} is not a prompt: character {unfit.start() + 1}, U+{ord(unfit[0]):04X}, is not text",
            advice="read or save it as UTF-8, and leave out control characters other than tabs and line breaks",
        )
    return str.__str__(prompt)  # an enum's member is a plain text from here on
