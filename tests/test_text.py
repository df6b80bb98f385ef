"""Text from outside, made fit to be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async._text import shown, without_media


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("plain text, 中文 and é", "plain text, 中文 and é"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x00\x07\x7f\x9b", "\\x00\\x07\\x7f\\x9b"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("a\u2028b\u00a0c", "a\\u2028b\\xa0c"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
        (None, "None"),
        (5, "5"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: object, visible: str) -> None:
    """Control characters, line breaks, bidirectional overrides and lone surrogates come out as escapes."""
    assert shown(text) == visible


def test_a_text_is_cut_at_its_limit() -> None:
    """Exactly at the limit nothing is cut; beyond it an ellipsis says so."""
    assert shown("x" * 300) == "x" * 300
    assert shown("x" * 301) == "x" * 300 + "…"
    assert shown("abcdef", 3) == "abc…"


@given(st.text(st.characters(exclude_categories=[])), st.integers(0, 50))
def test_nothing_but_printable_characters_is_shown(text: str, limit: int) -> None:
    """Whatever comes in, and never much more than was asked for."""
    visible = shown(text, limit)

    assert visible.isprintable()
    assert len(visible) <= 10 * limit + 1
    visible.encode()


@pytest.mark.parametrize(
    "link",
    [
        f"data:video/mp4;base64,{'Qk/+' * 100}",
        f"data:video/mp4;codecs=avc1;base64,{'Qk/+' * 100}==",
        f"DATA:image/PNG;Base64,{'Qk/+' * 100}",
        f"data:;base64,{'Qk/+' * 100}",
        "data:video/mp4;base64," + "\r\n".join(["QkJC" * 19] * 5),
        "data:video/mp4;base64," + "Qk\\/+" * 50,
        f"data:image/svg+xml,{'%3Csvg%20' * 50}",
    ],
)
def test_a_data_link_is_cut_wherever_it_stands(link: str) -> None:
    """Sixty characters of it are left, in any text, also in JSON that is a text; what is around it stays."""
    cut = f"{link[:59]}…"

    assert without_media(link) == cut
    assert without_media(f'{{"a": "{link}", "b": 1}}') == f'{{"a": "{cut}", "b": 1}}'
    assert shown(f"see {link} for more", 5000) == f"see {cut} for more"


@pytest.mark.parametrize("text", ["data: a, b and c " * 9, "metadata:x,y" * 9, "data:video/mp4;base64,QkJC", "a" * 99])
def test_a_text_that_is_not_a_long_data_link_stays(text: str) -> None:
    """Prompts may speak of data, and a short link is whole."""
    assert without_media(text) == text
