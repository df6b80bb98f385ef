"""Paths and bodies of the requests to a relay (contract sections 1 to 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from luma_async._relay.documents import encoded
from luma_async._text import plain_str
from luma_async.errors import ConfigurationError
from luma_async.options import GenerationOptions, _brief


def task_path(task_id: str) -> str:
    """Return the path of a poll for a checked *task_id* (contract section 1)."""
    return f"/luma/generations/{task_id}"


TASKS_PATH = "/luma/tasks"
SUBMIT_PATH = "/luma/generations"


def extend_path(task_id: str) -> str:
    """Return the path that extends a checked *task_id* (contract section 3)."""
    return f"{task_path(task_id)}/extend"


def clean_url_path(task_id: str) -> str:
    """Return the path of the clean link of a checked *task_id* (contract section 3)."""
    return f"{task_path(task_id)}/download_video_url"


def submit_body(fields: Mapping[str, Any]) -> bytes:
    """Return the body of a submit with *fields*."""
    return encoded(fields)


def tasks_body(task_ids: Iterable[str]) -> bytes:
    """Return the body of a batch query for checked *task_ids* (contract section 2)."""
    return b'{"ids": ["%s"]}' % '", "'.join(task_ids).encode()


_OF_AN_EXTENSION = frozenset({"expand_prompt", "image_url", "image_end_url", "notify_hook"})


def submit_fields(prompt: object, options: object) -> dict[str, Any]:
    """Return the fields that request a new generation.

    Raises:
        ConfigurationError: *prompt* is not a prompt, or *options* is not a GenerationOptions value.
    """
    return {"user_prompt": _checked_prompt(prompt), **_checked_options(options).given()}


def extension_fields(prompt: object, options: object) -> dict[str, Any]:
    """Return the fields that request the extension of a generation.

    Raises:
        ConfigurationError: As ``submit_fields``; or an option is given that an extension does not have.
    """
    fields = submit_fields(prompt, options)
    for name in fields.keys() - _OF_AN_EXTENSION - {"user_prompt"}:
        raise ConfigurationError(
            f"an extension has no {name}",
            advice=f"leave {name} out: an extension has {', '.join(sorted(_OF_AN_EXTENSION))}; the rest is its task's",
        )
    return fields


def _checked_options(options: object) -> GenerationOptions:
    if isinstance(options, GenerationOptions):
        return options
    raise ConfigurationError(
        f"options={_brief(options)} is not a GenerationOptions value",
        advice='give options as luma_async.GenerationOptions(aspect_ratio="16:9", ...)',
    )


_NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(rf"(?!\t|\r?\n)[\x00-\x1f\x7f-\x9f]|[\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
"""Control characters other than tabs and line breaks, lone surrogates, and Unicode's noncharacters.

They show that a prompt was read in the wrong encoding, and the relay would charge for a video of it.
"""


def _checked_prompt(prompt: object) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigurationError(f"{_brief(prompt)} is not a prompt", advice="a prompt is text that is not blank")
    if unfit := _UNFIT.search(prompt):
        raise ConfigurationError(
            f"{_brief(prompt)} is not a prompt: character {unfit.start() + 1}, U+{ord(unfit[0]):04X}, is not text",
            advice="read or save it as UTF-8, and leave out control characters other than tabs and line breaks",
        )
    return plain_str(prompt)
