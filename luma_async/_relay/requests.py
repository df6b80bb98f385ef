"""What relays are asked: paths and bodies (contract sections 1 to 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from luma_async._relay.documents import encoded
from luma_async._text import exactly
from luma_async.errors import ConfigurationError
from luma_async.options import GenerationOptions, _brief


def task_path(task_id: str) -> str:
    """Return where a checked *task_id* is asked for (contract section 1)."""
    return f"/luma/generations/{task_id}"


TASKS_PATH = "/luma/tasks"
SUBMIT_PATH = "/luma/generations"


def extend_path(task_id: str) -> str:
    """Return where an extension of a checked *task_id* is asked for (contract section 3)."""
    return f"{task_path(task_id)}/extend"


def clean_url_path(task_id: str) -> str:
    """Return where the clean link of a checked *task_id* is asked for (contract section 3)."""
    return f"{task_path(task_id)}/download_video_url"


def submit_body(order: Mapping[str, Any]) -> bytes:
    """Return the fields of an order as they are sent."""
    return encoded(order)


def tasks_body(task_ids: Iterable[str]) -> bytes:
    """Return the question about many checked *task_ids* (contract section 2)."""
    return b'{"ids": ["%s"]}' % '", "'.join(task_ids).encode()


_OF_AN_EXTENSION = frozenset({"expand_prompt", "image_url", "image_end_url", "notify_hook"})


def submit_fields(prompt: object, options: object) -> dict[str, Any]:
    """Return the fields that ask for a new generation.

    Raises:
        ConfigurationError: The prompt is none, or *options* is no GenerationOptions value.
    """
    return {"user_prompt": _checked_prompt(prompt), **_checked_options(options).given()}


def extension_fields(prompt: object, options: object) -> dict[str, Any]:
    """Return the fields that ask for a generation to be extended.

    Raises:
        ConfigurationError: As ``new_order``; or an option is given that an extension does not have.
    """
    order = submit_fields(prompt, options)
    for name in order.keys() - _OF_AN_EXTENSION - {"user_prompt"}:
        raise ConfigurationError(
            f"an extension has no {name}",
            advice=f"leave {name} out: it takes {', '.join(sorted(_OF_AN_EXTENSION))}, and the rest from its task",
        )
    return order


def _checked_options(options: object) -> GenerationOptions:
    if isinstance(options, GenerationOptions):
        return options
    raise ConfigurationError(
        f"options={_brief(options)} is no GenerationOptions value",
        advice='give options as luma_async.GenerationOptions(aspect_ratio="16:9", ...)',
    )


_NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(rf"(?!\t|\r?\n)[\x00-\x1f\x7f-\x9f]|[\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
"""What no prompt means to say: controls but tabs and line breaks, halves of pairs, and what Unicode calls no character.
Where they are, something was read in the wrong encoding, and the relay would charge for a video of it."""


def _checked_prompt(prompt: object) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigurationError(f"{_brief(prompt)} is no prompt", advice="a prompt is text that is not blank")
    if unfit := _UNFIT.search(prompt):
        raise ConfigurationError(
            f"{_brief(prompt)} is no prompt: character {unfit.start() + 1} is U+{ord(unfit[0]):04X}, which is not text",
            advice="read or save it as UTF-8, and leave out control characters other than tabs and line breaks",
        )
    return exactly(prompt)
