"""HTML that is escaped when it is built: only an element makes markup out of text."""

from __future__ import annotations

from html import escape

from luma_async._text import shown

_LONGEST = 20_000
"""Characters of one text; presigned links have a few hundred."""
_VOID = ("img", "meta")
_JOINERS = ("\u200c", "\u200d")
"""Invisible and harmless: emoji and Persian need them."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, /, *content: str | None, **attributes: str | float | bool | None) -> Markup:
    """Return an element; *content* that is not markup is escaped, and its control characters are made visible.

    Args:
        tag: The element's name.
        content: What is in it; None is nothing.
        attributes: ``aria_label`` is ``aria-label``, and ``class_`` is ``class``. True is an attribute without a
            value, False and None are none.
    """
    start = "".join(_attribute(name, value) for name, value in attributes.items() if value is not None)
    if tag in _VOID:
        return Markup(f"<{tag}{start}>")
    return Markup(f"<{tag}{start}>{joined(*content)}</{tag}>")


def joined(*content: str | None) -> Markup:
    """Return *content* as one piece of markup."""
    return Markup("".join(part if isinstance(part, Markup) else _escaped(part) for part in content if part))


def _attribute(name: str, value: object) -> str:
    if value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{_escaped(value)}"'


def _escaped(value: object) -> str:
    text = shown(value, _LONGEST)
    for joiner in _JOINERS:
        text = text.replace(f"\\u{ord(joiner):x}", joiner)
    return escape(text)
