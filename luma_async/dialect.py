"""How one API spells its paths, states and fields: data, no code."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import lru_cache
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any, Self

from attrs import Attribute, field, fields_dict, frozen

from luma_async._checks import brief, checked_headers
from luma_async._text import plain_word, shown
from luma_async.errors import ConfigurationError
from luma_async.models import State

_PREFIX = re.compile(r"(?:task|job|video|generation)?(?:status|state)(?=[a-z])")


@lru_cache(maxsize=512)
def plain_state(word: str) -> str:
    """Return one spelling for the word of a state, also of a constant such as ``TASK_STATUS_SUCCEED``."""
    plain = plain_word(word)
    prefix = _PREFIX.match(plain)
    return plain if prefix is None else plain[prefix.end() :]


# --- what relays use ---
_STATES = {str(state): state for state in State if state is not State.UNKNOWN}
_STATE_WORDS = {
    State.PENDING: "pending queued not_start not_started submitted in_queue",
    State.PROCESSING: "processing dreaming in_progress running",
    State.COMPLETED: "completed complete succeeded succeed success done finished finish ready generated ok",
    State.FAILED: "failed fail failure error timeout timed_out rejected aborted cancelled canceled cancel expired"
    " deleted",
}
_WORDS = {plain_state(word): state for state, words in _STATE_WORDS.items() for word in words.split()}
_STATE_KEYS = "state status task_status taskStatus task_state job_status"
_ID_KEYS = "task_id id taskId generation_id generationId job_id jobId video_id uuid request_id requestId"
_LINK_KEYS = (
    "url result_url video_url videoUrl download_url output outputs output_url videos works task_result.videos"
    " metadata.url unsigned_urls video_urls content.video_url video assets.video fail_reason"
)
_REASON_KEYS = (
    "failure_reason fail_reason failReason failureReason failure error error_message errorMessage error_msg errorMsg"
    " err_msg errMsg fail_msg failMsg errors task_status_msg status_msg status_message failure_message"
    " message msg reason detail result_url"
)
_WRAPPERS = "data result response task tasks generation generations items output task_result"
_OPTIONS = "aspect_ratio expand_prompt loop image_url image_end_url model_name duration resolution notify_hook"
_SUBMIT_FIELDS = {"prompt": "user_prompt", **{name: name for name in _OPTIONS.split(" ")}}
_LARGEST_FILE = 2**16
_MOST, _LONGEST = 200, 200
"""Entries of one field, and characters of one name."""


# --- the checks of the fields ---


def _refused(name: str, what: str, advice: str) -> ConfigurationError:
    return ConfigurationError(f"Dialect.{name} {what}", advice=advice)


_PATH_TEXT = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:{}/-]*")

_GOES_UP = re.compile(r"//|\.\.|/\.(/|$)")


def _path(*, has_id: bool) -> Callable[[Any, Attribute[Any], Any], None]:
    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is None and attribute.name != "task_path":
            return
        is_path = isinstance(value, str) and _PATH_TEXT.fullmatch(value) and not _GOES_UP.search(value)
        places = str(value).split("{id}") if is_path else []
        if not is_path or len(places) != 1 + has_id or any("{" in part or "}" in part for part in places):
            where = "with {id} once, where the task id belongs" if has_id else "without {id}"
            raise _refused(
                attribute.name,
                f"{brief(value)} is not a path {where}",
                f"write it like {'/v1/tasks/{id}' if has_id else '/v1/tasks'}, without '.', '..', '//' or a query",
            )

    return check


def _or_none(value: Any) -> Any:
    """Return None for an empty text: in a file this says that the API has no such path."""
    return None if value == "" else value


def _name(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
        raise _refused(attribute.name, f"{brief(value)} is not a name", "use letters, digits, '-', '_' and '.'")


def _address(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not (isinstance(value, str) and _ADDRESS.fullmatch(value)):
        what = f"{brief(re.sub(r'//[^/]*@', '//...@', str(value)))} is not an address without a user and a query"
        raise _refused(attribute.name, what, "write it like https://api.example")


_ADDRESS = re.compile(r"https?://[^/@?#\s]+(/[^?#\s]*)?", re.IGNORECASE)


_NOT_FOR_KEYS = re.compile(r"host|connection|transfer-encoding|cookie|content-.*|accept|user-agent", re.IGNORECASE)


def _key_header(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9-]{1,100}", value) or _NOT_FOR_KEYS.fullmatch(value):
        raise _refused(attribute.name, f"{brief(value)} cannot carry a key", "name a header such as X-API-Key")


def _key_prefix(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"([\x21-\x7e]([\x20-\x7e]{0,48}[\x21-\x7e])? ?)?", value):
        raise _refused(attribute.name, f"{brief(value)} is not a prefix", 'give a word and a blank, such as "Bearer "')


def _headers(instance: Dialect, _: Attribute[Any], value: Any) -> None:
    checked_headers(value, "Dialect.headers", also_refused=instance.key_header)


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _LONGEST and text.isprintable()


def _names(value: Any, usual: str) -> tuple[str, ...]:
    """Return the names that are given, then the usual ones."""
    if isinstance(value, str | Mapping) or not isinstance(value, Collection) or not all(map(_is_name, value)):
        return value  # type: ignore[no-any-return]  # the validator refuses it
    return tuple(dict.fromkeys([*value, *usual.split()]))


def _state_keys(value: Any) -> tuple[str, ...]:
    return _names(value, _STATE_KEYS)


def _id_keys(value: Any) -> tuple[str, ...]:
    return _names(value, _ID_KEYS)


def _link_keys(value: Any) -> tuple[str, ...]:
    return _names(value, _LINK_KEYS)


def _reason_keys(value: Any) -> tuple[str, ...]:
    return _names(value, _REASON_KEYS)


def _wrappers(value: Any) -> tuple[str, ...]:
    return _names(value, _WRAPPERS)


def _fields(value: Any) -> dict[str, str]:
    """Return the usual names of the options with those that are given."""
    return {**_SUBMIT_FIELDS, **value} if isinstance(value, Mapping) else value


def _are_names(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or len(value) > _MOST or not all(map(_is_name, value)):
        raise _refused(attribute.name, f"{brief(value)} is not a list of names", 'give a list such as ["status"]')


def _words(value: Any) -> Any:
    if not isinstance(value, Mapping) or not all(map(_is_name, value)):
        return value
    states = {word: _STATES.get(state, state) for word, state in value.items() if isinstance(state, str)}
    if _contradiction(states):
        return states  # the validator refuses it
    given = {plain_state(word): state for word, state in states.items()}
    return {**_WORDS, **given} if len(given) == len({plain_state(word) for word in value}) else value


def _contradiction(states: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return two spellings of one word that have different states."""
    first: dict[str, str] = {}
    for word, state in states.items():
        known = first.setdefault(plain_state(word), word)
        if states[known] != state:
            return known, word
    return None


def _are_words(_: Any, attribute: Attribute[Any], value: Any) -> None:
    is_table = isinstance(value, Mapping) and len(value) <= _MOST
    wrong = [word for word, state in value.items() if not isinstance(state, State)] if is_table else [value]
    if wrong:
        states = ", ".join(_STATES)
        raise _refused(attribute.name, f"has {brief(wrong[0])}, which is not a word with a state", f"states: {states}")
    if (words := _contradiction(value)) is not None:
        what = f"has {brief(words[1])} in another state than {brief(words[0])}, which is the same word"
        raise _refused(attribute.name, what, "case and separators do not count: leave one of them out")


def _is_dotted(text: Any) -> bool:
    return _is_name(text) and all(text.split("."))


def _are_fields(_: Any, attribute: Attribute[Any], value: Any) -> None:
    is_table = isinstance(value, Mapping)
    wrong = [our for our, its in value.items() if not (its == "" or _is_dotted(its))] if is_table else [value]
    unknown = [our for our in value if our not in _SUBMIT_FIELDS] if is_table else []
    if wrong or unknown:
        raise _refused(
            attribute.name,
            f"has {brief((wrong or unknown)[0])}, which is not one of our names with its name at the API",
            f'write it like model_name = "model"; our names: {", ".join(_SUBMIT_FIELDS)}',
        )


def _is_constant(value: Any) -> bool:
    """Whether JSON can hold *value*: it has no infinite number, and no NaN."""
    return isinstance(value, str | int | bool) or (isinstance(value, float) and isfinite(value))


def _check_places(dialect: Dialect, constants: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse two values of a submit in one place, or one inside the other: only one of them would be sent."""
    places: list[tuple[str, Any]] = [(name, None) for name in dialect.submit_fields.values() if name]
    places += [place for its in constants.values() for place in its.items()]
    for (first, value), (second, constant) in combinations(places, 2):
        is_said_twice = first == second and value == constant is not None
        if not is_said_twice and (f"{first}.".startswith(f"{second}.") or f"{second}.".startswith(f"{first}.")):
            raise _refused(
                "submit_fields" if constant is None else "submit_constants",
                f"has {brief(second)} beside {brief(first)}, so that one would take the other's place",
                "give each a name of its own",
            )


def _are_constants(dialect: Dialect, attribute: Attribute[Any], value: Any) -> None:
    def fits(our: Any, constants: Any) -> bool:
        if our not in _SUBMIT_FIELDS or not isinstance(constants, Mapping):
            return False
        return all(_is_dotted(name) and _is_constant(constant) for name, constant in constants.items())

    wrong = [our for our, its in value.items() if not fits(our, its)] if isinstance(value, Mapping) else [value]
    if wrong:
        raise _refused(
            attribute.name,
            f"has {brief(wrong[0])}, which is not one of our names with constants",
            'write it like image_url = { "keyframes.frame0.type" = "image" }',
        )
    _check_places(dialect, value)


# --- the dialect ---


@frozen(kw_only=True)
class Dialect:
    """How one API spells its requests and answers. Checked on creation: a ConfigurationError names the field.

    What is not given is as at a relay (``Dialect()``). Tables and lists are added to the relay's, and come first.
    """

    name: str = field(default="relay", validator=_name)
    base_url: str | None = field(default=None, validator=_address)
    """The API's address, if it has only one; ``LumaClient(base_url=...)`` and ``LUMA_BASE_URL`` come first."""
    task_path: str = field(default="/luma/generations/{id}", validator=_path(has_id=True))
    """The path of one task, with ``{id}``."""
    tasks_path: str | None = field(default="/luma/tasks", converter=_or_none, validator=_path(has_id=False))
    """The path of the batch query; None if there is none."""
    list_path: str | None = field(default=None, converter=_or_none, validator=_path(has_id=False))
    """The path that lists the key's recent tasks; None if there is none."""
    submit_path: str | None = field(default="/luma/generations", converter=_or_none, validator=_path(has_id=False))
    extend_path: str | None = field(
        default="/luma/generations/{id}/extend", converter=_or_none, validator=_path(has_id=True)
    )
    clean_path: str | None = field(
        default="/luma/generations/{id}/download_video_url", converter=_or_none, validator=_path(has_id=True)
    )
    """The path of the link without a watermark; None if there is none."""
    key_header: str = field(default="Authorization", validator=_key_header)
    key_prefix: str = field(default="Bearer ", validator=_key_prefix)
    """What comes before the key in its header."""
    headers: Mapping[str, str] = field(factory=dict[str, str], validator=_headers)
    """Further headers of each request to the API."""
    state_words: Mapping[str, State] = field(factory=dict[str, State], converter=_words, validator=_are_words)
    """The API's words for states, in any case; ``pending``, ``processing``, ``completed`` and ``failed`` are states."""
    state_keys: tuple[str, ...] = field(default=(), converter=_state_keys, validator=_are_names)
    """Keys that may hold the word, the first one first."""
    id_keys: tuple[str, ...] = field(
        default=(),
        converter=_id_keys,
        validator=_are_names,
    )
    """Keys that may hold the task id."""
    link_keys: tuple[str, ...] = field(
        default=(),
        converter=_link_keys,
        validator=_are_names,
    )
    """Places of the link to the video inside the task's object, such as ``result.videos``."""
    reason_keys: tuple[str, ...] = field(
        default=(),
        converter=_reason_keys,
        validator=_are_names,
    )
    """Keys that may hold the reason of a failure."""
    wrappers: tuple[str, ...] = field(
        default=(),
        converter=_wrappers,
        validator=_are_names,
    )
    """Keys around the task's object, and of objects inside it that belong to it."""
    submit_fields: Mapping[str, str] = field(
        factory=dict[str, str],
        converter=_fields,
        validator=_are_fields,
    )
    """Our name of an option, and its dotted name in a submit; an empty name: the API has no such option."""
    submit_constants: Mapping[str, Mapping[str, Any]] = field(
        factory=dict[str, Mapping[str, Any]], validator=_are_constants
    )
    """Our name of an option, and constants that go along with it: dotted name and value."""

    @classmethod
    def named(cls, name: str) -> Dialect:
        """Return a dialect that comes with this library: ``relay``, ``luma`` or ``luma-agents``.

        Raises:
            ConfigurationError: There is no such dialect.
        """
        if name not in _SHIPPED:
            names = ", ".join(_SHIPPED)
            raise ConfigurationError(
                f"dialect {brief(name)} is not known", advice=f"give one of {names}, or the path of a .toml file"
            )
        return _SHIPPED[name]

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Return the dialect in the TOML file at *path*, of at most 64 KiB; its keys are the fields of this class.

        Raises:
            ConfigurationError: It cannot be read, or a key or value is unusable.
        """
        try:
            with Path(path).open("rb") as file:
                content = file.read(_LARGEST_FILE + 1)
        except OSError as error:
            raise ConfigurationError(
                f"the dialect {shown(path)} cannot be read: {error.strerror}", advice="check the path"
            ) from None
        if len(content) > _LARGEST_FILE:
            raise ConfigurationError(f"{shown(path)} has more than 64 KiB", advice="name the dialect's own file")
        try:
            given = tomllib.loads(content.decode("utf-8-sig"))  # editors on Windows write a mark
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"the dialect {shown(path)} is not TOML: {error}", advice="correct it") from None
        for key in given.keys() - fields_dict(cls).keys():
            like = get_close_matches(key, fields_dict(cls), 1)
            raise ConfigurationError(
                f"the dialect {shown(path)} has an unknown key {brief(key)}",
                advice=f"did you mean {like[0]}?" if like else "see Dialect for its keys",
            )
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", Path(path).stem)[:100] or "dialect"
        fields: dict[str, Any] = {"name": stem, **given}
        return cls(**fields)


def dialect_of(value: object) -> Dialect:
    """Return *value* if it is a Dialect, the one of that name, or the one in that file.

    Raises:
        ConfigurationError: It is none of these, or the file is unusable.
    """
    if isinstance(value, Dialect):
        return value
    if isinstance(value, os.PathLike) or (isinstance(value, str) and ("/" in value or value.endswith(".toml"))):
        return Dialect.from_toml(value)
    if not isinstance(value, str):
        raise ConfigurationError(
            f"dialect={brief(value)} is not a dialect", advice="give a Dialect, a name, or the path of a .toml file"
        )
    return Dialect.named(value)


RELAY = Dialect()
_SHIPPED = {
    "relay": RELAY,
    "luma": Dialect(
        name="luma",
        base_url="https://api.lumalabs.ai",
        task_path="/dream-machine/v1/generations/{id}",
        tasks_path=None,
        list_path="/dream-machine/v1/generations",
        submit_path="/dream-machine/v1/generations",
        extend_path=None,
        clean_path=None,
        submit_fields={
            "prompt": "prompt",
            "model_name": "model",
            "expand_prompt": "",
            "image_url": "keyframes.frame0.url",
            "image_end_url": "keyframes.frame1.url",
            "notify_hook": "callback_url",
        },
        submit_constants={
            "image_url": {"keyframes.frame0.type": "image"},
            "image_end_url": {"keyframes.frame1.type": "image"},
        },
    ),
    "luma-agents": Dialect(
        name="luma-agents",
        task_path="/generations/{id}",
        tasks_path=None,
        submit_path=None,
        extend_path=None,
        clean_path=None,
    ),
}
"""Luma's own APIs (contract section 6). The second is for reading and polling: its other paths are not known yet."""
