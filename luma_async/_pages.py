"""What a web page says, as one line, and texts without markup."""

from __future__ import annotations

import html
import re

_LONGEST_PAGE = 20_000
"""Characters of a page that are read."""
_LONGEST_PART = 500
_ELEMENTS = (
    "!doctype|!--|/?(?:html|head|body|title|meta|link|style|script|noscript|main|header|footer|section|article|nav|svg|"
    "h[1-6]|p|pre|code|div|span|center|hr|br|a|b|i|em|strong|small|font|img|ul|ol|li|table|thead|tbody|tr|td|th)"
)
_TAG = re.compile(rf"<(?:{_ELEMENTS})\b[^<>]{{0,2000}}(?:>|\Z)|<!--|<(?:!doctype|/?html)\b", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]{1,2000}>")
_PAGE = re.compile(r"<(?:!doctype|html|head|body|title|h1|pre)\b", re.IGNORECASE)
_HIDDEN = re.compile(r"<(style|script|head)\b.{0,4000}?</\1\s{0,9}>|<!--.{0,4000}?-->", re.IGNORECASE | re.DOTALL)
_PARTS = [
    re.compile(rf"<{name}\b[^<>]{{0,200}}>(.{{1,{_LONGEST_PART}}}?)(?:</{name}|<br|\Z)", re.IGNORECASE | re.DOTALL)
    for name in ("title", "pre", "h1", "p")
]
_EMPTY_WORDS = re.compile(r"\b(?:error|page|http|oops|html|untitled|document|[0-9]+)\b|[\W_]+", re.IGNORECASE)
"""What says nothing in a title: Express calls each of its pages *Error*."""


def title_of(page: bytes) -> str:
    """Return the title of *page*, or its heading; empty if it has none."""
    text = page[:_LONGEST_PAGE].decode("utf-8", "replace")
    return next(filter(None, (_part(_PARTS[number], text) for number in (0, 2))), "")


def text_of_page(page: str) -> str:
    """Return what *page* says: its title, or a preformatted text, heading or paragraph if that says more.

    Proxies answer with pages; a title such as *Error* says less than ``Cannot GET /x`` below it (contract section 6).
    """
    page = page[:_LONGEST_PAGE]
    parts = list(filter(None, (_part(pattern, page) for pattern in _PARTS)))
    sizes = [min(2, len(_EMPTY_WORDS.sub(" ", part).split())) for part in parts]
    return parts[sizes.index(max(sizes))] if parts else _plain(_ANY_TAG.sub(" ", page))


def without_markup(text: str) -> str:
    """Return *text* with a web page in it replaced by what the page says, and without the tags of HTML."""
    text = text[:_LONGEST_PAGE]
    if (tag := _TAG.search(text)) is None:
        return text
    before, rest = text[: tag.start()], text[tag.start() :]
    page, end, after = rest.partition("</html>")
    if _PAGE.search(page):
        said = text_of_page(page)
        return " ".join(filter(None, (before.strip(), said, _plain(after)))) if said or end else _plain(text)
    return f"{before}{_plain(rest)}"


def _part(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    return _plain(found[1]) if found else ""


def _plain(text: str) -> str:
    """Return *text* without tags, with its entities resolved and its white space made single blanks."""
    return " ".join(html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text))).split())
