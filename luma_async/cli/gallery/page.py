"""Entries in, one HTML page out. The page has no script, and loads nothing but media."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib.resources import files
from urllib.parse import urlsplit

from luma_async.cli.gallery.entries import Collection, Entry, Section, Stage
from luma_async.cli.gallery.markup import Markup, element
from luma_async.cli.gallery.timeline import figure, span

_LONGEST_HEADING = 120
"""Characters; the whole of a longer prompt can be unfolded below its heading."""


def render(entries: Sequence[Entry], notes: Sequence[str] = ()) -> str:
    """Return the page of *entries* in their order, with *notes* on the lines behind it."""
    style = files("luma_async.cli.gallery").joinpath("gallery.css").read_text(encoding="utf-8")
    shown = {section: its for section in Section if (its := [entry for entry in entries if entry.section is section])}
    main = element("main", *(_section(section, its) for section, its in shown.items()), _times(entries))
    body = element("body", _header(shown), main, element("footer", *(element("p", note) for note in notes)))
    html = element("html", _head(style, entries), body, lang="en")
    return f"<!doctype html>\n{html}\n"


def notes_on(collection: Collection) -> Iterator[str]:
    """Yield notes on lines that are not on the page."""
    lost = sum(lines.count for lines in collection.unreadable.values())
    if lost:
        yield f"{_number(lost, 'line')} could not be read and {'is' if lost == 1 else 'are'} not shown."
    if collection.replaced:
        lines = _number(collection.replaced, "line")
        yield f"{lines} left out, because a later or final line has the same id."


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _head(style: str, entries: Sequence[Entry]) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, entries)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Gallery of {_number(len(entries), 'generation')}"),
        element("style", Markup(style)),
    )


def _policy(style: str, entries: Sequence[Entry]) -> str:
    """Return the policy: this style, and media from the places that this page links to."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    pictures = _allowed("img-src", (entry.poster for entry in entries))
    videos = _allowed("media-src", (entry.video for entry in entries))
    own = ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    return "; ".join([*own, *pictures, *videos, "base-uri 'none'", "form-action 'none'"])


def _allowed(kind: str, links: Iterable[str | None]) -> list[str]:
    """Allow the places of *links*; a stored file is a file, or served beside the page."""
    schemes = {urlsplit(link).scheme for link in links if link is not None}
    sources = {source for scheme in schemes for source in ((f"{scheme}:",) if scheme else ("'self'", "file:"))}
    return [f"{kind} {' '.join(sorted(sources))}"] if sources else []


def _header(shown: dict[Section, list[Entry]]) -> Markup:
    total = sum(map(len, shown.values()))
    counts = ", ".join(f"{len(its)} {section}" for section, its in shown.items())
    links = [(_anchor(section), f"{section.capitalize()} ({len(its)})") for section, its in shown.items()]
    items = (element("li", element("a", name, href=f"#{anchor}")) for anchor, name in [*links, ("times", "Times")])
    return element(
        "header",
        element("h1", "Gallery"),
        element("p", f"{_number(total, 'generation')}: {counts}."),
        element("nav", element("ul", *items, role="list"), aria_label="Sections"),
    )


def _anchor(section: Section) -> str:
    return section.replace(" ", "-")


def _section(section: Section, entries: list[Entry]) -> Markup:
    anchor = _anchor(section)
    cards = (_card(entry, f"{anchor}-{number}") for number, entry in enumerate(entries, 1))
    return element(
        "section",
        element("h2", f"{section.capitalize()} ", element("span", f"{len(entries)}"), id=anchor),
        element("div", *cards, class_="cards"),
        aria_labelledby=anchor,
    )


def _times(entries: Sequence[Entry]) -> Markup:
    return element(
        "section", element("h2", "Times", id="times"), figure(entries, label="times"), aria_labelledby="times"
    )


def _card(entry: Entry, anchor: str) -> Markup:
    title = entry.prompt or entry.task_id
    short = title if len(title) <= _LONGEST_HEADING else f"{title[:_LONGEST_HEADING].rstrip()}…"
    return element(
        "article",
        _medium(entry, short),
        element("h3", short, id=anchor, dir="auto"),
        _whole_prompt(title) if short != title else None,
        element("p", entry.trouble, class_="trouble", dir="auto") if entry.trouble else None,
        element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in _facts(entry))),
        _link(entry),
        class_=_anchor(entry.section),
        aria_labelledby=anchor,
    )


def _whole_prompt(prompt: str) -> Markup:
    return element("details", element("summary", "Whole prompt"), element("p", prompt, dir="auto"))


def _medium(entry: Entry, name: str) -> Markup | None:
    width, height = entry.size or (None, None)
    if entry.video:
        return element(
            "video",
            controls=True,
            playsinline=True,
            preload="metadata" if entry.is_stored else "none",  # the first frame costs nothing there
            poster=entry.poster,
            src=entry.video,
            width=width,
            height=height,
            aria_label=f"Video: {name}",
        )
    if entry.poster:
        return element("img", src=entry.poster, alt=f"Picture: {name}", loading="lazy", width=width, height=height)
    return None


def _facts(entry: Entry) -> Iterator[tuple[str, str | None]]:
    yield "State", entry.state
    if entry.size:
        yield "Size", "{} × {}".format(*entry.size)
    if entry.duration:
        yield "Length", span(entry.duration)
    if at := entry.created_at:
        yield "Created", element("time", f"{at:%Y-%m-%d %H:%M} UTC", datetime=at.isoformat(timespec="seconds"))
    for stage, seconds in entry.stages:
        if stage is not Stage.WAITED:
            yield stage.capitalize(), span(seconds)
    yield "Waited", f"{span(entry.waited)}, {_number(entry.polls, 'poll')}"
    yield "Task", element("code", entry.task_id)


def _link(entry: Entry) -> Markup | None:
    if entry.video is None:
        return None
    name = "Link to the video" if urlsplit(entry.video).scheme else "Stored file"
    return element("p", element("a", name, href=entry.video), class_="link")
