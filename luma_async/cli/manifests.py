"""Rows of a manifest: CSV or JSON lines in, one video each out; all are checked before anything is submitted."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, cast

from attrs import evolve, field, fields, frozen

from luma_async._checks import brief
from luma_async._relay.documents import NotJSONError, decode, encoded
from luma_async._text import shown
from luma_async.cli.ids import LONGEST_TEXT, lines_of, opened
from luma_async.errors import ConfigurationError
from luma_async.options import GenerationOptions, submit_fields


@frozen
class Row:
    """One video to submit."""

    prompt: str
    options: GenerationOptions
    name: str | None = None
    """The user's own name for it, which the relay does not get."""
    nth: int = field(default=1, kw_only=True)
    """Its number among the rows of a run that ask for the same, from 1."""

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of all that the relay is asked for, as sorted JSON; raises as ``submit_fields``."""
        asked = submit_fields(self.prompt, self.options)
        return sha256(encoded(dict(sorted(asked.items())))).hexdigest()


FIELDS = ("prompt", "name", *(each.name for each in fields(GenerationOptions)))
"""The fields of a row; ``_`` may be written as ``-`` or a blank, and letters in upper case."""
_SWITCHES = ("expand_prompt", "loop")
_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
"""How spreadsheets spell switches."""
_DELIMITERS = ",;\t"
"""Of CSV: a comma; what Excel writes where that is in numbers; and what it calls Unicode text."""
_LONGEST_NAME = 200
"""Characters."""
_MARK = "\ufeff"


def is_manifest(path: str | None) -> bool:
    """Whether the file at *path* has rows, by the ending of its name, instead of a prompt on each line."""
    return path is not None and Path(path).suffix.lower() in _READERS


def looks_like_rows(text: str) -> bool:
    """Whether *text* is a row of a manifest, or the header of one, and no prompt: a video of it costs money."""
    if text.startswith("{"):
        with suppress(NotJSONError):
            return any(isinstance(each, dict) and "prompt" in each for each in decode(text.encode()))
    cells = [_spelled(cell.strip().strip('"')) for cell in re.split(f"[{_DELIMITERS}]", text.strip(_MARK))]
    return len(cells) > 1 and "prompt" in cells and (cells[0] == "prompt" or set(cells) <= {*FIELDS, ""})


def read_manifest(path: str, defaults: GenerationOptions) -> list[Row]:
    """Return the rows of the file at *path*, in UTF-8 or UTF-16; an empty cell and null are absent.

    Args:
        path: A file whose name ends in ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``.
        defaults: The options that a row does not give.

    Raises:
        ConfigurationError: The file cannot be read, or a row cannot work: it names the file, the line and the field.
    """
    name = shown(path)
    with opened(path, ConfigurationError(f"{name} cannot be read"), "check --from") as file:
        lines = (line.removeprefix(_MARK) for line in lines_of(file, f"rows of {name}"))
        rows = _READERS[Path(path).suffix.lower()](name, lines)
        return [_row(place, given, defaults) for place, given in rows]


def _row(place: str, given: Mapping[str, Any], defaults: GenerationOptions) -> Row:
    """Check each field on its own, so that an error names it."""
    prompt, name, options = given.get("prompt"), given.get("name"), defaults
    if "prompt" not in given:
        raise ConfigurationError(f"{place}: there is no prompt", advice="give each row a prompt")
    if name is not None and not (isinstance(name, str) and name.isprintable() and len(name) <= _LONGEST_NAME):
        raise ConfigurationError(
            f"{place}, column name: {brief(name)} is not a name",
            advice=f"give at most {_LONGEST_NAME} printable characters",
        )
    for key, value in given.items():
        try:
            if key == "prompt":
                submit_fields(value, defaults)
            elif key != "name":
                options = evolve(options, **{key: value})
        except ConfigurationError as error:
            raise _in_column(place, key, error) from None
    return Row(cast("str", prompt), options, name)


def _in_column(place: str, key: str, error: ConfigurationError) -> ConfigurationError:
    """Return *error* in the words of a table: it has columns and cells, and no arguments."""
    what = error.summary.removeprefix(f"GenerationOptions({key}=").replace(") is not ", " is not ", 1)
    advice = error.advice.replace(f"give {key} as ", "give ", 1).replace("or leave it out", "or leave it empty")
    for of_code, of_tables in (("is not a bool", "is not true or false"), ("True or False", "true or false")):
        what, advice = what.replace(of_code, of_tables), advice.replace(of_code, of_tables)
    return ConfigurationError(f"{place}, column {key}: {what}", advice=advice)


def _spelled(written: object) -> str:
    return str(written).strip().lower().replace("-", "_").replace(" ", "_")


def _field_of(place: str, written: object) -> str:
    """Return the field that is *written*, or raise an error that names the nearest one."""
    name = _spelled(written)
    if name in FIELDS:
        return name
    near = [each for each in FIELDS if name and name in each] or get_close_matches(name, FIELDS, 1)
    raise ConfigurationError(
        f"{place}: {brief(written)} is not a field of a row{f'; the nearest is {near[0]}' if near else ''}",
        advice=f"the fields are {', '.join(FIELDS)}",
    )


# --- CSV ---


def _csv_rows(name: str, lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row with its place; a cell may have several lines."""
    header: list[str] = []
    for number, (place, cells) in enumerate(_cells(name, lines)):
        if not header:
            header = [_field_of(place, cell) for cell in _without_empty_end(cells)]
            if twice := [cell for cell in header if header.count(cell) > 1]:
                raise ConfigurationError(f"{place}: {twice[0]} is there twice", advice="leave one column out")
        elif any(cells[len(header) :]):
            raise ConfigurationError(
                f"{place}: there are {len(cells)} cells for {len(header)} fields",
                advice="put a cell with a delimiter in it into double quotes",
            )
        else:
            yield (
                f"{place} (row {number})",
                {key: _cell(key, cell) for key, cell in zip(header, cells, strict=False) if cell},
            )


def _without_empty_end(cells: list[str]) -> list[str]:
    """Return *cells* without the empty columns that spreadsheets leave at the right."""
    return cells[: max(number for number, cell in enumerate(cells, 1) if cell)]


def _cells(name: str, lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the cells of each row that has any, without blanks around them."""
    first = next(lines, "")
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(LONGEST_TEXT)
    reader = csv.reader(
        (f"{line}\n" for line in chain([first], lines)), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    number = 1
    try:
        for cells in reader:
            stripped = [cell.strip().replace("\r\n", "\n") for cell in cells]
            if any(stripped):
                yield f"{name}, line {number}", stripped
            number = reader.line_num + 1
    except csv.Error as error:
        raise ConfigurationError(
            f"{name}, line {number}: it is not CSV: {error}", advice="look for a double quote that is not doubled"
        ) from None


def _cell(key: str, cell: str) -> object:
    """Return the value of a cell; in a switch, any other word is left to the check of the options."""
    return _WORDS.get(cell.lower(), cell) if key in _SWITCHES else cell


# --- JSON lines ---


def _json_rows(name: str, lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row with its place; blank lines and comments are skipped, as in a list of prompts."""
    for number, line in enumerate(lines, 1):
        place, text = f"{name}, line {number}", line.strip()
        if text and not text.startswith("#"):
            given = {_field_of(place, key): value for key, value in _object(place, text).items()}
            yield place, {key: value for key, value in given.items() if value is not None}


def _object(place: str, text: str) -> dict[str, Any]:
    try:
        documents = decode(text.encode())
    except (NotJSONError, UnicodeEncodeError) as error:
        reason = str(error) if isinstance(error, NotJSONError) else "text that is not UTF-8"
        raise ConfigurationError(f"{place}: it is {reason}", advice="write one JSON object on each line") from None
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigurationError(f"{place}: it is not one JSON object", advice='write it like {"prompt": "a cat"}')
    return documents[0]


_READERS = {".csv": _csv_rows, ".tsv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
