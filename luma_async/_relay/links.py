"""Finds the link to the video in the object of a completed task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from luma_async._checks import link_or_none, medium_or_none
from luma_async._relay.documents import Reading
from luma_async._relay.keys import has_a_mark, is_clean, is_never_the_result, is_of_another
from luma_async._relay.search import as_id, levels_of
from luma_async._text import in_words, plain_word
from luma_async.dialect import RELAY, Dialect
from luma_async.models import Link

Levels = list[Mapping[str, Any]]


def link_of_row(levels: Levels) -> Link | None:
    """Return a row's own link; on success ``fail_reason`` may hold it (contract, *Wrapped answers*)."""
    texts = (level[key] for key in ("video_url", *_LAST) for level in levels if level.get(key))
    return next(filter(None, map(_link_in_text, texts)), None)


_LAST = ("result_url", "url", "fail_reason")
"""A row's own keys, which come last (contract section 1): its ``url`` may be the address of the task itself."""


def declared_link(levels: Levels, reading: Reading) -> Link | None:
    """Return the link at a place that only this dialect has."""
    return _at_places(levels, _places(_own_keys(reading.dialect)), reading) if reading.dialect is not RELAY else None


def known_link(levels: Levels, reading: Reading) -> Link | None:
    """Return the link at one of the places that relays use."""
    places = _places(reading.dialect.link_keys)
    better = tuple(place for place in places if place[0] not in _LAST)
    return _at_places(levels, better, reading) or _at_places(levels, _places(_LAST), reading)


def clean_link(levels: Levels, reading: Reading) -> Link | None:
    """Return the first link at a key that names a medium without a watermark."""
    budget = Reading(_MOST_PARTS)
    found = (_clean_in(level, _DEEPEST, reading, budget) for level in levels)
    return next(filter(None, found), None)


_MOST_PARTS = 500


def _clean_in(value: Any, depth: int, reading: Reading, budget: Reading) -> Link | None:
    value = reading.opened(value)
    if depth and isinstance(value, list):
        items = (_clean_in(item, depth - 1, reading, budget) for item in value[:_MOST_ITEMS] if budget.visit())
        return next(filter(None, items), None)
    if not depth or not isinstance(value, Mapping) or _is_another_medium(value) or has_another_role(value):
        return None
    parts = [(key, part) for key, part in value.items() if part and type(part) in _MAY_HOLD_LINKS and budget.visit()]
    clean = (_link_in(part, reading, _DEEPEST) for key, part in parts if is_clean(key))
    below = (
        _clean_in(part, depth - 1, reading, budget)
        for key, part in parts
        if not (is_never_the_result(key, part) or is_of_another(key))
    )
    return next(filter(None, clean), None) or next(filter(None, below), None)


_MAY_HOLD_LINKS = frozenset({str, list, dict})


def _own_keys(dialect: Dialect) -> tuple[str, ...]:
    return tuple(key for key in dialect.link_keys if key not in RELAY.link_keys)


@lru_cache(maxsize=16)
def _places(keys: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(key.split(".")) for key in keys)


def _at_places(levels: Levels, places: tuple[tuple[str, ...], ...], reading: Reading) -> Link | None:
    found = (_link_at(level, place, reading) for level in levels for place in places if place[0] in level)
    return next(filter(None, found), None)


def _link_at(value: Any, place: tuple[str, ...], reading: Reading) -> Link | None:
    """Return the link at *place* in *value*; of a list, the first one."""
    value = reading.opened(value)
    if not place:
        return _link_in(value, reading, _DEEPEST)
    if isinstance(value, list):
        items = (item for item in _some(value, reading) if not has_another_role(item))
        return next(filter(None, (_link_at(item, place, reading) for item in items)), None)
    if isinstance(value, Mapping) and value.get(place[0]):
        return _link_at(value[place[0]], place[1:], reading)
    return None


_DEEPEST = 4
_INSIDE = ("download_url", "video_url", "videoUrl", "url", "video", "resource", "href", "uri", "src", "link")
"""Keys of a medium's object that may hold its link."""
_MOST_ITEMS = 100


def _some(items: list[Any], reading: Reading) -> Iterator[Any]:
    return (item for item in items[:_MOST_ITEMS] if item and reading.visit())


def _link_in(value: Any, reading: Reading, depth: int) -> Link | None:
    """Return the link that *value* is or holds, unless it is another medium than a video."""
    value = reading.opened(value)
    if isinstance(value, str):
        return _link_in_text(value)
    if depth and isinstance(value, list):
        return next(filter(None, (_link_in(item, reading, depth - 1) for item in _some(value, reading))), None)
    if depth and isinstance(value, Mapping) and not (_is_another_medium(value) or has_another_role(value)):
        inside = (_link_in(value[key], reading, depth - 1) for key in _INSIDE if value.get(key))
        return next(filter(None, inside), None)
    return None


def _link_in_text(value: Any) -> Link | None:
    link = medium_or_none(value, "video")
    return None if link is None or _OTHER_ENDING.search(link) else link


_TYPES = ("type", "media_type", "mime_type", "mimeType", "content_type", "contentType", "format", "kind")
_OTHER_TYPE = re.compile(r"image|picture|audio|text|subtitle|thumbnail|json|jpe?g|png|webp|gif|mp3|wav", re.IGNORECASE)
_OTHER_ENDING = re.compile(r"\.(?:jpe?g|png|webp|gif|avif|svg|json|txt|srt|vtt|mp3|wav|m4a)(?:[?#]|$)", re.IGNORECASE)
_VIDEO_TYPE = re.compile(r"video|mp4|quicktime|webm", re.IGNORECASE)
_VIDEO_ENDING = re.compile(r"\.(?:mp4|m4v|mov|webm|mkv)(?:[?#]|$)", re.IGNORECASE)
_VIDEO_KEY = re.compile(r"video|mp4|movie|clip", re.IGNORECASE)


def _types(value: Mapping[str, Any]) -> str:
    return " ".join(kind for kind in map(value.get, _TYPES) if isinstance(kind, str))


def _is_another_medium(value: Mapping[str, Any]) -> bool:
    types = _types(value)
    return _OTHER_TYPE.search(types) is not None and _VIDEO_TYPE.search(types) is None


# --- the role of a medium ---
_ROLES = ("type", "kind", "role", "name", "purpose", "usage")
_ANOTHER_ROLE = re.compile(
    r"(?:[a-z]+[\W_]+)?(?:inputs?|sources?|references?|ref|previews?|thumb(?:nail)?s?|posters?|covers?|prompts?"
    r"|(?:key|first|last|start|end)?_?frames?|init|upload(?:ed)?|users?|parent|callback|webhook|progress|mask|driving)"
    r"(?:[\W_]+(?:video|url|clip|file|media|asset|mp4|mov|webm))*"
)
_LONGEST_ROLE = 40
"""Characters. A longer text is a title or a prompt."""


def results_only(value: Any, reading: Reading) -> Any:
    """Return the *value* of a field for media without the objects that are previews or the user's own."""
    value = reading.opened(value)
    if isinstance(value, list):
        return [results_only(item, reading) for item in _some(value, reading) if not has_another_role(item)]
    if not isinstance(value, Mapping):
        return value
    inside = {key: results_only(value[key], reading) for key in FIELDS_OF_VIDEOS if value.get(key)}
    return None if has_another_role(value) else {**value, **inside}


FIELDS_OF_VIDEOS = ("video", "video_raw", "assets", "artifact")
"""The fields of a generation that hold videos (contract section 1)."""


def has_another_role(value: Any) -> bool:
    """Whether an object about a medium says that it is a preview or the user's own."""
    roles = (value[key] for key in _ROLES if key in value) if isinstance(value, Mapping) else ()
    return any(
        isinstance(role, str)
        and len(role) <= _LONGEST_ROLE
        and _ANOTHER_ROLE.fullmatch(in_words(role.strip())) is not None
        for role in roles
    )


NAMES = (*_INSIDE, *_TYPES, *_ROLES)
"""The keys of an object about a medium, in their usual spelling."""


# --- the last resort ---
def last_resort(task: Any, reading: Reading) -> tuple[Link | None, tuple[str, ...]]:
    """Return the one link in *task* that something calls a video, and the places of the links that were found.

    A link counts if its key, the ending of its path or a type beside it calls it a video. If none or several do, there
    is no link, and the places are those of all links that may be the result.
    """
    places: dict[str, Link] = {}
    videos: dict[str, Link] = {}
    for place, link, is_video in _links_in(task, "", _LEVELS, reading, _Around(_ids_of(task, reading))):
        places.setdefault(place, link)
        if is_video:
            videos.setdefault(place, link)
    unmarked = {place: link for place, link in videos.items() if not (has_a_mark(place) or has_a_mark(link[:_LONG]))}
    videos = unmarked or videos
    if len(set(videos.values())) == 1:
        place, link = next(iter(videos.items()))
        return link, (place,)
    return None, tuple(videos or places)[:_MOST_PLACES]


class _Around(NamedTuple):
    """What is known of the place of a link."""

    own: frozenset[str]
    """The ids of the task."""
    types: str = ""
    """The types beside it."""


def _ids_of(task: Any, reading: Reading) -> frozenset[str]:
    """Return the ids of *task*, and of its upstream's answer inside it."""
    levels = levels_of(task, reading) if isinstance(task, Mapping) else []
    ids = (as_id(level[key]) for level in levels for key in reading.keys.ids.intersection(level))
    return frozenset(filter(None, ids))


def _is_of_another_task(value: Mapping[str, Any], own: frozenset[str]) -> bool:
    """Whether *value* names a task that is none of *own*; a mere ``id`` may be that of a medium."""
    return any(
        isinstance(part, str) and part.strip() and part not in own and plain_word(key[:_LONGEST_ROLE]) in _NAMES_A_TASK
        for key, part in value.items()
    )


_NAMES_A_TASK = frozenset({"taskid", "jobid", "generationid"})
_GENERATED_IMAGES = re.compile(r"(?:generated|generation|output|result)_images?")
"""Leonardo's has the video too."""
_LONG = 2000
"""Characters of a link that are searched for words."""
_LEVELS = 8
_MOST_PLACES = 10


def _links_in(
    value: Any, place: str, depth: int, reading: Reading, around: _Around
) -> Iterator[tuple[str, Link, bool]]:
    """Yield each link in *value* with its place, and whether it is called a video."""
    value = reading.opened(value)
    if not reading.visit():
        return
    if isinstance(value, str):
        link = _link_in_text(value)
        if link is not None and (_is_data(link) or link_or_none(value)):
            last_keys = ".".join(place.split(".")[-3:])
            path = link.split("?", 1)[0].split("#", 1)[0]
            is_video = any(
                (
                    _is_data(link),
                    _VIDEO_ENDING.search(path),
                    _VIDEO_TYPE.search(around.types),
                    _VIDEO_KEY.search(last_keys),
                )
            )
            yield place, link, is_video
    elif depth and isinstance(value, list):
        for number, item in enumerate(value[:_MOST_ITEMS]):
            inside = f"{place}.{number}" if place else str(number)
            yield from _links_in(item, inside, depth - 1, reading, around)
    elif depth and isinstance(value, Mapping) and not _is_another_medium(value):
        if place and (has_another_role(value) or _is_of_another_task(value, around.own)):
            return
        types = around._replace(types=_types(value))
        for key, part in value.items():
            if isinstance(part, str | list | Mapping) and part and _may_hold_the_result(key, part):
                inside = f"{place}.{key[:50]}" if place else key[:50]
                yield from _links_in(part, inside, depth - 1, reading, types)


def _may_hold_the_result(key: str, value: Any) -> bool:
    if is_of_another(key):
        return False
    return not is_never_the_result(key, value) or _GENERATED_IMAGES.fullmatch(in_words(key[:_LONGEST_ROLE])) is not None


def _is_data(link: str) -> bool:
    return link.startswith("data:")
