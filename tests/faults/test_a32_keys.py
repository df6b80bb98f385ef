"""A32: keys that cannot be sent, given as an argument, in the environment or in a file."""

from __future__ import annotations

import os
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest

from luma_async import ConfigurationError, LumaClient
from luma_async.settings import read_key_file
from tests.kit import KEY

ADDRESS = "https://relay.example"
BAD = {
    "empty": "",
    "a blank": " ",
    "blanks": "  \t ",
    "a blank inside": "sk-test 0123456789",
    "a blank before": f" {KEY}",
    "a blank behind": f"{KEY} ",
    "another header": f"{KEY}\r\nX: 1",
    "two lines": f"{KEY}\nb",
    "a newline": "\n",
    "a line before": f"\n{KEY}",
    "a tab": f"{KEY}\t",
    "a vertical tab": f"{KEY}\v",
    "NUL": f"{KEY}\0",
    "DEL": f"{KEY}\x7f",
    "NEL": f"{KEY}\x85",
    "not ASCII": "sk-tést-0123456789",
    "Chinese": "密钥-0123456789",
    "a byte order mark": f"\ufeff{KEY}",
    "a blank that does not break": f"{KEY}\xa0",
    "a line separator": f"{KEY}\u2028",
    "a lone surrogate": f"{KEY}\ud800",
    "a byte too long": "sk-" + "s" * 4094,
    "100 KB": "sk-" + "s" * 100_000,
}
UNUSABLE = [pytest.param(key, id=name) for name, key in BAD.items()]
FRAGMENTS = ("sk-", "0123456789", "sss")


def refusal(**arguments: Any) -> str:
    """Return all that can be seen of the error that a client is, local variables included."""
    with pytest.raises(ConfigurationError) as caught:
        LumaClient(ADDRESS, **arguments)
    error = caught.value
    assert error.__cause__ is None
    assert str(error).isprintable()
    below = error.__traceback__ and error.__traceback__.tb_next
    told = traceback.TracebackException(type(error), error, below, capture_locals=True)
    return f"{''.join(told.format())} {error!r} {error.__context__!r} {pickle.dumps(error)!r}"


@pytest.mark.parametrize("key", [*UNUSABLE, f"{KEY}\n", KEY.encode(), 5, [KEY], {"key": KEY}, True])
def test_a32_a_key_that_cannot_be_sent_is_refused_unseen(key: Any) -> None:
    """Nothing of it is in the error or in a traceback; an argument's newline is not stripped either."""
    told = refusal(api_key=key)

    assert "the API key is unusable (a key is 1 to 4,096 visible ASCII" in told
    assert not [fragment for fragment in FRAGMENTS if fragment in told]


@pytest.mark.parametrize("key", UNUSABLE[1:])
def test_a32_a_bad_key_in_a_file_is_refused_unseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Like one that is given, and the file is named."""
    file = tmp_path / "key file"
    file.write_bytes(key.encode("utf-8", "surrogatepass"))
    monkeypatch.setenv("LUMA_API_KEY_FILE", str(file))

    told = refusal()

    assert f"the API key in {file} is unusable" in told
    assert not [fragment for fragment in FRAGMENTS if fragment in told.replace(str(file), "")]


@pytest.mark.parametrize("key", [key for key in UNUSABLE if "\0" not in str(key.values[0])][1:])
def test_a32_a_bad_key_in_the_environment_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Like one that is given; neither the environment nor the key shows in a traceback."""
    monkeypatch.setenv("LUMA_API_KEY", os.fsdecode(key.encode("utf-8", "surrogatepass")))

    told = refusal()

    assert "the API key is unusable" in told
    assert not [fragment for fragment in FRAGMENTS if fragment in told]


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", KEY.encode("utf-16"), b"\xff\xfe", b"\0" * 9000, b"\x80"])
def test_a32_a_file_without_a_key_is_named(tmp_path: Path, content: bytes) -> None:
    """An empty file, one of another encoding or of other content is told by its name."""
    file = tmp_path / "key"
    file.write_bytes(content)

    with pytest.raises(ConfigurationError, match=f"the API key in {file} is unusable"):
        read_key_file(file)


@pytest.mark.parametrize("kind", ["missing", "directory", "in a file", "a loop", "nul", "too long"])
def test_a32_an_unreadable_key_file_is_named(tmp_path: Path, kind: str) -> None:
    """With the reason, and what to do."""
    path: Any = tmp_path / "key"
    if kind == "directory":
        path.mkdir()
    if kind == "in a file":
        path.write_text("x")
        path /= "key"
    if kind == "a loop":
        path.symlink_to(path)
    path = {"nul": f"{path}\0", "too long": f"{path}{'y' * 300}"}.get(kind, path)

    with pytest.raises(ConfigurationError, match="cannot be read: ") as caught:
        read_key_file(path)

    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.advice
    assert caught.value.__cause__ is None
    assert "None" not in str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("key", [KEY, "sk_0123", f"Bearer {KEY}", "0123456789abcdef0123456789abcdef"])
def test_a32_a_key_in_the_place_of_its_file_is_not_repeated(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A name that looks like a key is left out of the error."""
    monkeypatch.setenv("LUMA_API_KEY_FILE", key)

    with pytest.raises(ConfigurationError, match="the key file cannot be read: ") as caught:
        LumaClient(ADDRESS)

    assert "0123" not in str(caught.value)


def test_a32_a_huge_file_is_not_read_to_its_end() -> None:
    """A device that never ends is refused like a long key."""
    with pytest.raises(ConfigurationError, match="unusable"):
        read_key_file("/dev/zero")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", "\r\n\r\n", "\r"])
def test_a32_a_newline_at_the_end_is_stripped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Of a key file, whoever may read it, and of the environment; nothing else is."""
    file = tmp_path / "key"
    file.write_bytes(f"{KEY}{end}".encode())
    file.chmod(0o644)

    monkeypatch.setenv("LUMA_API_KEY_FILE", str(file))
    from_file = LumaClient(ADDRESS)
    monkeypatch.setenv("LUMA_API_KEY", KEY + end)
    from_variable = LumaClient(ADDRESS)

    assert [luma._settings.api_key.reveal() for luma in (from_file, from_variable)] == [KEY, KEY]


@pytest.mark.parametrize("key", ["!", "~" * 4096, "".join(map(chr, range(0x21, 0x7F)))])
def test_a32_any_visible_ascii_is_a_key(key: str) -> None:
    """Of one to 4,096 characters, quotes, commas and backslashes included."""
    assert LumaClient(ADDRESS, key)._settings.api_key.reveal() == key
