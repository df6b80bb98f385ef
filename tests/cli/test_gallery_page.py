"""The page of a gallery, without a browser: what is in it, and that nothing from outside can act in it."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from luma_async import TransportError
from luma_async.cli.gallery.entries import Collection
from luma_async.cli.gallery.page import notes_on, render
from tests.cli.batch import Told
from tests.cli.parsed import Parsed, parsed

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "'; alert(1) //",
    "</style></title><svg onload=alert(1)>",
    "&lt;script&gt;",
    "{{7*7}} ${7*7} <!-- -->",
    "\u202egpj.exe\u2066",
    "a\x00b\x1b[31m\r\n\u2028c",
    "\ud800",
]
"""Prompts and reasons that a page must only show."""


def html(*lines: bytes, stored: dict[str, str] | None = None) -> str:
    """Return the page of *lines*, with stored files by their roles."""
    collection = Collection()
    collection.read("batch.jsonl", lines)
    entries = collection.entries(lambda _, __, role: (stored or {}).get(role))
    return render(entries, list(notes_on(collection)))


def page(*lines: bytes, stored: dict[str, str] | None = None) -> Parsed:
    """Return the page of *lines*, parsed."""
    return parsed(html(*lines, stored=stored))


BATCH = (
    Told(task_id="a", prompt="a fox").line,
    Told(task_id="b", status="FAILURE", reason="refused").line,
    Told(task_id="c", status="IN_PROGRESS").line,
    Told(task_id="d").lost(TransportError("the connection was cut", task_id="d")),
)


def test_the_page_has_landmarks_and_headings() -> None:
    """One heading of the first level, one of the second for each section, one of the third for each generation."""
    it = page(*BATCH)

    landmarks = [tag for tag, _ in it.elements if tag in ("header", "nav", "main", "footer")]
    levels = [tag for tag, _ in it.elements if re.fullmatch(r"h\d", tag)]
    assert landmarks == ["header", "nav", "main", "footer"]
    assert levels == ["h1", "h2", "h3", "h2", "h3", "h2", "h3", "h3", "h2"]
    assert it.text("h2") == ["Completed ", "Failed ", "Not done ", "Times"]
    assert it.text("title") == ["Gallery of 4 generations"]
    assert "4 generations: 1 completed, 1 failed, 2 not done." in it.text("p")


def test_every_reference_leads_somewhere() -> None:
    """What names something, and what leads within the page, names an id that is there once."""
    it = page(*BATCH)

    ids = it.values("id")
    within = [link[1:] for link in it.values("href") if link.startswith("#")]
    assert len(ids) == len(set(ids))
    assert {*it.values("aria-labelledby"), *within} <= set(ids)
    assert within[:4] == ["completed", "failed", "not-done", "times"]


def test_a_section_without_anything_is_left_out() -> None:
    """The way to it too."""
    assert page(BATCH[0]).text("h2") == ["Completed ", "Times"]


def test_a_card_tells_what_is_known() -> None:
    """In the words of the page, with units."""
    it = page(BATCH[0])

    facts = dict(zip(it.text("dt"), [*it.text("dd")[:3], "", *it.text("dd")[3:], ""], strict=True))
    assert facts == {
        "State": "completed",
        "Size": "1360 × 752",
        "Length": "5 s",
        "Created": "",
        "Queue": "12 s",
        "Processing": "41 s",
        "Waited": "55.2 s, 9 polls",
        "Task": "",
    }
    assert (it.text("time"), it.text("code")) == (["2024-07-01 07:35 UTC"], ["a"])
    assert it.all("time") == [{"datetime": "2024-07-01T07:35:13+00:00"}]


def test_a_card_leaves_out_what_is_not() -> None:
    """No fact without a value; a task that was never seen says so."""
    it = page(BATCH[3])

    assert (it.text("dt"), it.text("dd")) == (["State", "Waited", "Task"], ["never seen", "55.2 s, 9 polls"])
    assert (it.text("h3"), it.all("video"), it.all("img")) == (["d"], [], [])
    assert "the connection was cut" in it.text("p")


def test_a_video_has_a_poster_a_name_and_controls() -> None:
    """It loads nothing before it is played, and its place has the right shape before that."""
    (video,) = page(BATCH[0]).all("video")

    assert video == {
        "controls": None,
        "playsinline": None,
        "preload": "none",
        "poster": "https://cdn.example/media/a.jpg",
        "src": "https://cdn.example/media/a.mp4",
        "width": "1360",
        "height": "752",
        "aria-label": "Video: a fox",
    }


def test_a_stored_video_shows_its_own_first_frame() -> None:
    """Its metadata are loaded, which needs no network, and no picture is asked for."""
    (video,) = page(BATCH[0], stored={"video": "a.video.mp4"}).all("video")

    assert (video["preload"], video["src"], video.get("poster")) == ("metadata", "a.video.mp4", None)


def test_a_picture_stands_for_a_video_without_a_link() -> None:
    """It has a text for those who cannot see it."""
    it = page(Told(prompt="a fox", links={"thumbnail": {"url": "https://cdn.example/p.jpg"}}).line)

    assert it.all("img") == [{"src": "https://cdn.example/p.jpg", "alt": "Picture: a fox", "loading": "lazy"}]
    assert it.all("video") == []


@pytest.mark.parametrize(
    ("stored", "name", "link"),
    [
        ({"video": "videos/a.video.mp4"}, "Stored file", "videos/a.video.mp4"),
        ({}, "Link to the video", "https://cdn.example/media/a.mp4"),
    ],
)
def test_a_link_says_where_it_leads(stored: dict[str, str], name: str, link: str) -> None:
    """To the stored file, if there is one, and the video plays the same."""
    it = page(BATCH[0], stored=stored)

    assert (it.text("a")[-1], it.all("a")[-1]["href"], it.all("video")[0]["src"]) == (name, link, link)


def test_a_long_prompt_is_unfolded_by_the_reader() -> None:
    """Its heading is short, and nothing of it is lost."""
    long = "word " * 100
    it = page(Told(prompt=long).line)

    assert it.text("h3") == [("word " * 24).rstrip() + "…"]
    assert (it.text("summary"), long in it.text("p")) == (["Whole prompt"], True)
    assert page(Told(prompt="w" * 120).line).all("details") == []


# --- nothing from outside acts ---


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """As a prompt, a reason, an error or an id, it adds no element and no attribute to the page."""
    tame, hostile = (
        page(
            Told(task_id=f"{id_}1", prompt=prompt, links={"video": {"url": "https://cdn.example/v.mp4"}}).line,
            Told(task_id=f"{id_}2", prompt=prompt, status="FAILURE", reason=reason).line,
            Told(task_id=f"{id_}3").lost(TransportError(reason)),
        )
        for id_, prompt, reason in [("a", "a fox", "refused"), (text, text, text)]
    )

    assert shape(hostile) == shape(tame)
    assert not any(any(c in told for c in "\u202e\u2066\x00\x1b\r\u2028\ud800") for _, told in hostile.texts)


def shape(it: Parsed) -> list[tuple[str, list[str]]]:
    """Return the elements of a page with the names of their attributes."""
    return [(tag, sorted(attributes)) for tag, attributes in it.elements]


def test_text_from_outside_has_a_direction_of_its_own() -> None:
    """A prompt that is written from right to left turns nothing around it."""
    it = page(Told(prompt="غروب الشمس " * 20, status="FAILURE", reason="no").line)

    assert [tag for tag, attributes in it.elements if attributes.get("dir") == "auto"] == ["h3", "p", "p", "span"]


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:x"])
def test_links_of_other_kinds_are_not_linked(link: str) -> None:
    """They would run in the page."""
    it = page(Told(links={"video": {"url": link, "download_url": link}, "thumbnail": {"url": link}}).line)

    assert [value for value in [*it.values("href"), *it.values("src")] if not value.startswith("#")] == []


@pytest.mark.parametrize("size", [1, 500])
def test_a_data_link_is_in_no_attribute(size: int) -> None:
    """Neither one that was cut nor a whole one: it may have megabytes."""
    video, picture = f"data:video/mp4;base64,{'AAAA' * size}", f"data:image/png;base64,{'AAAA' * size}"
    it = page(Told(links={"video": {"url": video}, "thumbnail": {"url": picture}}).line)

    assert [value for _, given in it.elements for value in given.values() if "data:" in (value or "")] == []


def test_there_is_no_script_and_no_style_but_the_one() -> None:
    """No handler, no inline style, nothing that is loaded besides media."""
    it = page(*BATCH)

    names = {name for _, attributes in it.elements for name in attributes}
    assert {tag for tag, _ in it.elements} & {"script", "link", "iframe", "object", "base", "form"} == set()
    assert (len(it.all("style")), [name for name in names if name.startswith("on") or name == "style"]) == (1, [])


# --- the policy ---


def policy(*lines: bytes, stored: dict[str, str] | None = None) -> dict[str, str]:
    """Return the directives of a page's policy."""
    it = page(*lines, stored=stored)
    (content,) = (meta["content"] for meta in it.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    return dict(directive.partition(" ")[::2] for directive in (content or "").split("; "))


def test_the_policy_allows_the_style_by_its_digest() -> None:
    """And nothing besides; the digest is that of the sheet in the page."""
    (style,) = page(BATCH[3]).text("style")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert policy(BATCH[3]) == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


@pytest.mark.parametrize(
    ("stored", "pictures", "videos"),
    [
        ({}, "https:", "https:"),
        ({"video": "a.video.mp4"}, None, "'self' file:"),
        ({"video": "a.video.mp4", "thumbnail": "a.thumbnail.jpg"}, "'self' file:", "'self' file:"),
    ],
)
def test_the_policy_allows_media_from_where_there_are_some(
    stored: dict[str, str], pictures: str | None, videos: str
) -> None:
    """A page of stored files asks nobody."""
    allowed = policy(BATCH[0], stored=stored)

    assert (allowed.get("img-src"), allowed["media-src"]) == (pictures, videos)


def test_plain_http_is_allowed_only_where_a_link_needs_it() -> None:
    """The simulated relay has such links."""
    plain = Told(links={"video": {"url": "http://127.0.0.1:8080/v.mp4"}}).line

    assert policy(plain)["media-src"] == "http:"
    assert policy(plain, BATCH[0])["media-src"] == "http: https:"


def test_the_page_tells_nobody_where_it_is() -> None:
    """Who serves the media is not told of the page."""
    metas = page(BATCH[0]).all("meta")

    assert {"name": "referrer", "content": "no-referrer"} in metas
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in metas


# --- notes ---


def test_the_page_tells_what_is_not_in_it() -> None:
    """Lines that could not be read, and those that another line replaces."""
    one = page(BATCH[0], b"no\n", BATCH[0])
    more = page(BATCH[0], b"no\n", b"nor this\n", BATCH[0], BATCH[0])

    assert [text for text in one.text("p") if "line" in text] == [
        "1 line could not be read and is not shown.",
        "1 line left out, because a later or final line has the same id.",
    ]
    assert [text for text in more.text("p") if "line" in text] == [
        "2 lines could not be read and are not shown.",
        "2 lines left out, because a later or final line has the same id.",
    ]
    assert [text for text in page(BATCH[0]).text("p") if "line" in text] == []
