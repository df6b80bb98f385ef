"""Makes text from outside safe to show, short and without control characters; and words comparable."""

from __future__ import annotations

import html
import re
from functools import lru_cache

_MOST_OF_DATA = 60
"""Characters of a ``data:`` link that are shown or recorded: the rest is the medium, which may have megabytes."""
_DATA_LINK = re.compile(
    r"data:(?:[\w.+-]{1,50}/[^,:\s]{1,100}|[^,:\s]{0,100};base64),(?:[\w+/=%.~!$&*-]|\r?\n|\\+[/rn])*",
    re.IGNORECASE,
)
"""Also one in JSON that is a text itself, and one that is broken into lines."""


def plain_str(text: str) -> str:
    """Return *text* as a plain str: a member of a str enum prints and hashes as its name."""
    return str.__str__(text)


def spelled(value: object) -> str:
    """Return the repr of *value*, or a generic one: an integer of 5,000 digits has no repr, and some objects raise."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - this text is for an error message, which must not fail
        return object.__repr__(value)


def shown(text: object, limit: int = 300) -> str:
    """Return *text* with control characters made visible, cut to *limit* characters.

    Line breaks, escapes, bidirectional overrides and lone surrogates become Python's escapes for them. A ``data:`` link
    is cut, too.
    """
    cut = str(text)[: limit + 1]
    plain = without_media(cut[:limit])
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)
    return f"{visible.removesuffix('…')}…" if len(cut) > limit else visible


def without_media(text: str) -> str:
    """Return *text* with each ``data:`` link in it cut to 60 characters; the last one says so (design, *Media*)."""
    return _DATA_LINK.sub(lambda link: _brief(link[0]), text)


def _brief(link: str) -> str:
    return link if len(link) <= _MOST_OF_DATA else f"{link[: _MOST_OF_DATA - 1]}…"


# --- one spelling for words and keys that differ in case and separators only ---
_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+")


def plain_word(word: str) -> str:
    """Return one spelling for a word in any case, with ``-``, ``_``, a blank or nothing between its parts."""
    return word.strip().casefold().replace(" ", "").replace("-", "").replace("_", "")


def as_code(text: str) -> str:
    """Return one spelling for a code and for the same code written as words."""
    return text.casefold().replace(" ", "_").replace("-", "_")


@lru_cache(maxsize=1024)
def in_words(text: str) -> str:
    """Return *text* with ``_`` between its words, in small letters: ``paramJson`` as ``param_json``."""
    return _BETWEEN_WORDS.sub("_", text).casefold()


# --- web pages ---
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


def sense_of(text: str | None) -> str | None:
    """Return what *text* says without the tags of a web page in it; None if that is nothing."""
    said = without_markup(text or "")
    return said if said.strip() else None


def without_pages(text: str) -> str:
    """Return *text* with a web page in it replaced by what the page says; markup that is no page stays."""
    return without_markup(text) if _PAGE.search(text[:_LONGEST_PAGE]) else text


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
