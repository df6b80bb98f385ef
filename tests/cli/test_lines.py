"""Lines out of bytes, however these come."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async import ConfigurationError
from luma_async.cli.ids import lines_of

MARKED = {"utf-8": "", "utf-8-sig": "", "utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}


class Pieces(io.BytesIO):
    """A file that comes in pieces of these sizes, and then byte by byte."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        super().__init__(content)
        self._sizes = sizes

    def read1(self, _: int | None = -1) -> bytes:
        """Return the next piece."""
        return self.read(self._sizes.pop(0) if self._sizes else 1)


def lines(content: bytes, sizes: list[int] | None = None) -> list[str]:
    """Return the lines of *content*, in one piece or in several."""
    return list(lines_of(Pieces(content, [len(content)] if sizes is None else sizes), "task ids"))


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\ufeff"), max_size=8), max_size=4
    ),
    st.sampled_from(list(MARKED)),
    st.lists(st.integers(1, 9), max_size=20),
)
def test_lines_come_out_as_they_went_in(texts: list[str], encoding: str, sizes: list[int]) -> None:
    """In any script, wherever the pieces end; a mark stays at the beginning, for its taker to strip."""
    content = (MARKED[encoding] + "\n".join(texts)).encode(encoding)

    found = "\n".join(lines(content, sizes))

    assert found.removeprefix("\ufeff") == "\n".join(texts)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["task-1\r\ntask-2\r\n", "ab", "a cat 海 and a dog 一\n", "café\n"])
def test_utf_16_needs_no_mark(text: str, encoding: str) -> None:
    """Where it is clear: half of the bytes are zero."""
    assert lines(text.encode(encoding)) == text.split("\n")


@pytest.mark.parametrize(
    "content",
    [
        "海上日出\n".encode("utf-16-le"),
        "海上日出\n".encode("utf-16-be"),
        "a\n".encode("utf-32"),
        "a\n".encode("utf-32-le"),
        "a\n".encode("utf-32-be"),
        b"a\0b\n",
        b"\0",
        b"a\n\0\0\0\0\0\0\0",
        "a\0b\n".encode("utf-16"),
        "a\n".encode("utf-16") + b"a",
        b"a\n" + "b\n".encode("utf-16"),
        b"a" * (2**20 + 1),
    ],
    ids=lambda content: ascii(content[:20]),
)
@pytest.mark.parametrize("sizes", [None, [2] * 20])
def test_anything_else_is_told(content: bytes, sizes: list[int] | None) -> None:
    """With the way out."""
    with pytest.raises(ConfigurationError, match=r"the task ids are not text in UTF-8 or UTF-16.*save them as UTF-8"):
        lines(content, sizes if len(content) < 100 else [len(content)])


def test_half_of_what_is_no_text_is_not_handed_out() -> None:
    """Chinese in UTF-16 without a mark may look like a line of ASCII until its break is over."""
    with pytest.raises(ConfigurationError):
        next(lines_of(io.BytesIO("海\n".encode("utf-16-le")), "prompts"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b""])
def test_a_mark_alone_is_no_text(content: bytes) -> None:
    """But a line without any."""
    assert [line.strip("\ufeff") for line in lines(content)] == [""]


def test_a_byte_that_is_not_utf_8_is_half_a_pair() -> None:
    """So that its line alone is refused."""
    assert lines(b"a\n\xff\n\xe6\xb5") == ["a", "\udcff", "\udce6\udcb5"]
