"""HTML that is escaped by being made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async.cli.gallery.markup import Markup, element, joined
from tests.cli.parsed import parsed


@given(text=st.text())
def test_no_text_becomes_markup(text: str) -> None:
    """Whatever it is, as content or as an attribute, there is one element with two texts in it."""
    html = element("p", text, title=text)

    page = parsed(html)
    assert [(tag, sorted(attributes)) for tag, attributes in page.elements] == [("p", ["title"])]
    assert html.isprintable() or "\u200c" in text or "\u200d" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>\"'&", "&lt;b&gt;&quot;&#x27;&amp;"),
        ("a\nb\x00", "a\\nb\\x00"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
        ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
        ("a" * 20_001, "a" * 20_000 + "…"),
    ],
)
def test_what_a_text_comes_out_as(text: str, shown: str) -> None:
    """Nothing acts on the page or on the direction of its neighbours; joiners inside words and emoji stay."""
    assert joined(text) == shown


def test_markup_goes_in_as_it_is() -> None:
    """Elements nest, and None is nothing."""
    assert element("p", None, "a & ", element("b", "c"), "") == "<p>a &amp; <b>c</b></p>"
    assert isinstance(joined("x"), Markup)


def test_attributes() -> None:
    """True stands without a value, False and None not at all; names are written as HTML has them."""
    assert element("img", alt="", aria_label="a", class_="b", hidden=True, title=None, draggable=False, width=0) == (
        '<img alt="" aria-label="a" class="b" hidden width="0">'
    )
