"""One page of what a batch made: exhibits in, HTML out. It has no script, and asks nobody but for media."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from urllib.parse import urlsplit

from luma_async.cli.gallery.entries import Collection, Exhibit, Section
from luma_async.cli.gallery.markup import Markup, element
from luma_async.cli.gallery.timeline import figure, span

_LONGEST_HEADING = 120
"""Characters; a longer prompt is unfolded below its heading."""

_HEADINGS = {Section.COMPLETED: "Completed", Section.FAILED: "Failed", Section.NOT_DONE: "Not done"}


def render(exhibits: Sequence[Exhibit], notes: Sequence[str] = ()) -> str:
    """Return the page of *exhibits*.

    Args:
        exhibits: In the order in which they are shown.
        notes: What a reader should know about how the page was made.
    """
    style = files("luma_async.cli.gallery").joinpath("gallery.css").read_text(encoding="utf-8")
    hung = {section: [exhibit for exhibit in exhibits if exhibit.section is section] for section in Section}
    shown = {section: its for section, its in hung.items() if its}
    main = element("main", *(_section(section, its) for section, its in shown.items()), _times(exhibits))
    body = element("body", _header(shown), main, element("footer", *(element("p", note) for note in notes)))
    html = element("html", _head(style, exhibits), body, lang="en")
    return f"<!doctype html>\n{html}\n"


def notes_on(collection: Collection) -> Iterator[str]:
    """Yield what a reader should know about lines that are not shown."""
    lost = sum(map(len, collection.unreadable.values()))
    if lost:
        yield f"{_number(lost, 'line')} could not be read and {'is' if lost == 1 else 'are'} not shown."
    if collection.replaced:
        told = _number(collection.replaced, "line")
        yield f"{told} about ids that have another: the latest that tells an end counts."


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _head(style: str, exhibits: Sequence[Exhibit]) -> Markup:
    policy = {"http_equiv": "Content-Security-Policy", "content": _policy(style, exhibits)}
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", **policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Gallery of {_number(len(exhibits), 'generation')}"),
        element("style", Markup(style)),
    )


def _policy(style: str, exhibits: Sequence[Exhibit]) -> str:
    """Return the policy that allows this style, and media from where this page has some."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    pictures, videos = ({exhibit.poster for exhibit in exhibits}, {exhibit.video for exhibit in exhibits})
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            *_allowed("img-src", pictures),
            *_allowed("media-src", videos),
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _allowed(kind: str, links: set[str | None]) -> list[str]:
    sources = {source for link in links for source in _sources(link)}
    return [f"{kind} {' '.join(sorted(sources))}"] if sources else []


def _sources(link: str | None) -> tuple[str, ...]:
    """Return what a policy calls the place that *link* leads to; a file's page is a file, or served beside it."""
    if link is None:
        return ()
    scheme = urlsplit(link).scheme
    return (f"{scheme}:",) if scheme else ("'self'", "file:")


def _header(shown: dict[Section, list[Exhibit]]) -> Markup:
    total = sum(map(len, shown.values()))
    counts = ", ".join(f"{len(its)} {section}" for section, its in shown.items())
    links = [(_anchor(section), f"{_HEADINGS[section]} ({len(its)})") for section, its in shown.items()]
    items = (element("li", element("a", name, href=f"#{anchor}")) for anchor, name in [*links, ("times", "Times")])
    return element(
        "header",
        element("h1", "Gallery"),
        element("p", f"{_number(total, 'generation')}: {counts}."),
        element("nav", element("ul", *items, role="list"), aria_label="Sections"),
    )


def _anchor(section: Section) -> str:
    return section.replace(" ", "-")


def _section(section: Section, exhibits: list[Exhibit]) -> Markup:
    anchor = _anchor(section)
    cards = (_card(exhibit, f"{anchor}-{number}") for number, exhibit in enumerate(exhibits, 1))
    return element(
        "section",
        element("h2", f"{_HEADINGS[section]} ", element("span", f"{len(exhibits)}"), id=anchor),
        element("div", *cards, class_="cards"),
        aria_labelledby=anchor,
    )


def _times(exhibits: Sequence[Exhibit]) -> Markup:
    return element(
        "section", element("h2", "Times", id="times"), figure(exhibits, label="times"), aria_labelledby="times"
    )


def _card(exhibit: Exhibit, anchor: str) -> Markup:
    title = exhibit.prompt or exhibit.task_id
    short = title if len(title) <= _LONGEST_HEADING else f"{title[:_LONGEST_HEADING].rstrip()}…"
    return element(
        "article",
        _medium(exhibit, short),
        element("h3", short, id=anchor, dir="auto"),
        _whole_prompt(title) if short != title else None,
        element("p", exhibit.trouble, class_="trouble", dir="auto") if exhibit.trouble else None,
        element("dl", *(_fact(name, told) for name, told in _facts(exhibit))),
        _link(exhibit),
        class_=_anchor(exhibit.section),
        aria_labelledby=anchor,
    )


def _whole_prompt(prompt: str) -> Markup:
    return element("details", element("summary", "Whole prompt"), element("p", prompt, dir="auto"))


def _medium(exhibit: Exhibit, name: str) -> Markup | None:
    width, height = exhibit.size or (None, None)
    if exhibit.video:
        return element(
            "video",
            controls=True,
            playsinline=True,
            preload="none",
            poster=exhibit.poster,
            src=exhibit.video,
            width=width,
            height=height,
            aria_label=f"Video: {name}",
        )
    if exhibit.poster:
        return element("img", src=exhibit.poster, alt=f"Picture: {name}", loading="lazy", width=width, height=height)
    return None


def _facts(exhibit: Exhibit) -> Iterator[tuple[str, str | None]]:
    yield "State", exhibit.state
    if exhibit.size:
        yield "Size", "{} × {}".format(*exhibit.size)
    if exhibit.duration:
        yield "Length", span(exhibit.duration)
    if exhibit.created_at:
        yield "Created", _moment(exhibit.created_at)
    for stage, seconds in exhibit.stages:
        if stage.is_of_the_relay:
            yield stage.capitalize(), span(seconds)
    yield "Waited", f"{span(exhibit.waited)}, {_number(exhibit.polls, 'look')}"
    yield "Task", element("code", exhibit.task_id)


def _moment(moment: datetime) -> Markup:
    return element("time", f"{moment:%Y-%m-%d %H:%M} UTC", datetime=moment.isoformat(timespec="seconds"))


def _fact(name: str, told: str | None) -> Markup:
    return element("div", element("dt", name), element("dd", told))


def _link(exhibit: Exhibit) -> Markup | None:
    if exhibit.video is None:
        return None
    name = "Link to the video" if urlsplit(exhibit.video).scheme else "Stored file"
    return element("p", element("a", name, href=exhibit.video), class_="link")
