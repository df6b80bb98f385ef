"""What a relay tells us, as frozen values."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from luma_async import Artifact, Assets, Generation, Image, RawVideo, Role, State, Video
from luma_async.models import Link

A, B, C, D, E = (Link(f"https://cdn.example/{name}.mp4") for name in "abcde")


def generation(**fields: Any) -> Generation:
    """Return a completed generation with *fields*."""
    return evolve(Generation(id="t", state=State.COMPLETED, state_text="completed"), **fields)


@pytest.mark.parametrize(
    ("state", "is_terminal"),
    [
        (State.PENDING, False),
        (State.PROCESSING, False),
        (State.COMPLETED, True),
        (State.FAILED, True),
        (State.UNKNOWN, False),
    ],
)
def test_completed_and_failed_are_terminal(state: State, is_terminal: bool) -> None:  # noqa: FBT001
    """Nothing else is: an unknown word means *still running*."""
    assert state.is_terminal is is_terminal
    assert generation(state=state).is_terminal is is_terminal


def test_a_state_is_its_word() -> None:
    """It is, prints as, and is found by the specification's word."""
    assert State.COMPLETED.value == "completed"
    assert f"{State.FAILED}" == "failed"
    assert State("processing") is State.PROCESSING


@pytest.mark.parametrize(
    ("fields", "link"),
    [
        ({"video": Video(url=C, download_url=A), "video_raw": RawVideo(url=B)}, A),
        ({"video": Video(url=C), "video_raw": RawVideo(url=B)}, B),
        ({"video": Video(url=C), "assets": Assets(video=D)}, C),
        ({"assets": Assets(video=D), "result_url": E}, D),
        ({"result_url": E}, E),
        ({}, None),
        ({"video": Video(width=5), "artifact": Artifact(video=Video(download_url=A))}, A),
        ({"video": Video(url=C), "artifact": Artifact(video=Video(download_url=A))}, C),
        ({"video": Video(url=C), "artifact": Artifact(video_raw=RawVideo(url=B))}, B),
    ],
)
def test_the_best_video_link_comes_first(fields: dict[str, object], link: str | None) -> None:
    """In the order of contract section 1; an object of the artifact serves where its namesake has no link."""
    assert generation(**fields).video_url == generation(**fields).link("video") == link


@pytest.mark.parametrize(
    ("role", "fields", "link"),
    [
        ("thumbnail", {"thumbnail": Image(url=A), "video": Video(thumbnail=Image(url=B))}, A),
        ("thumbnail", {"thumbnail": Image(width=1), "artifact": Artifact(thumbnail=Image(url=C))}, C),
        ("thumbnail", {"video": Video(url=D, thumbnail=Image(url=B))}, B),
        ("thumbnail", {"last_frame": Image(url=A)}, None),
        ("last_frame", {"last_frame": Image(url=A), "artifact": Artifact(last_frame=Image(url=B))}, A),
        ("last_frame", {"artifact": Artifact(last_frame=Image(url=B))}, B),
        ("last_frame", {"thumbnail": Image(url=A)}, None),
    ],
)
def test_pictures_have_links_too(role: Role, fields: dict[str, object], link: str | None) -> None:
    """The thumbnail may stand in three places, the last frame in two."""
    assert generation(**fields).link(role) == link


def test_the_raw_answer_is_out_of_sight_and_out_of_comparison() -> None:
    """It is in no repr, and two answers that say the same are equal and hash alike."""
    first, second = generation(raw={"secret": 1}), generation(raw={"other": 2})

    assert "secret" not in repr(first)
    assert first == second
    assert hash(first) == hash(second)
    assert first != generation(prompt="x")


def test_a_generation_is_frozen_and_travels() -> None:
    """It cannot be changed, and comes out of a pickle as it went in, raw answer included."""
    before = generation(video=Video(url=A), raw={"a": [1]})

    after = pickle.loads(pickle.dumps(before))  # noqa: S301 - our own bytes

    assert after == before
    assert after.raw == before.raw
    with pytest.raises(FrozenInstanceError):
        after.id = "x"


def test_a_data_link_is_cut_in_a_repr() -> None:
    """The value itself stays whole."""
    link = Link(f"data:video/mp4;base64,{'AAAA' * 500}")
    picture = Link(f"data:image/png;base64,{'AAAA' * 500}")
    its = generation(
        video=Video(url=link, download_url=link, thumbnail=Image(url=picture)),
        video_raw=RawVideo(url=link),
        artifact=Artifact(last_frame=Image(url=picture)),
        assets=Assets(video=link),
        result_url=link,
        failure_reason=f"refused: {picture}",
        prompt=picture,
    )

    assert len(repr(its)) < 2000
    assert "AAAA" * 12 not in repr(its)
    assert its.video_url == link


LINK = "https://cdn.example/v.mp4?sig=secret"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "<Generation t completed>"),
        ({"state": State.PENDING, "prompt": "a cat"}, "<Generation t pending 'a cat'>"),
        (
            {"video_raw": RawVideo(url=A, width=1280, height=720, duration=5.04), "prompt": "a\ncat\x1b[31m"},
            "<Generation t completed 1280x720 5 s 'a cat\\x1b[31m'>",
        ),
        ({"id": f"{'a' * 30}-{'b' * 30}"}, f"<Generation {'a' * 19}…{'b' * 20} completed>"),
        ({"prompt": f"like ({LINK}) but red"}, "<Generation t completed 'like but red'>"),
        ({"prompt": LINK, "video": Video(url=Link(LINK), width=10**9, height=1)}, "<Generation t completed>"),
        ({"id": 5, "prompt": ["a"]}, "<Generation 5 completed '['a']'>"),
        ({"prompt": "word " * 50}, f"<Generation t completed '{'word ' * 17}word wo…'>"),
    ],
)
def test_a_repr_is_a_short_line(fields: dict[str, object], line: str) -> None:
    """It shows id, state, size, seconds and prompt."""
    assert repr(generation(**fields)) == line


@pytest.mark.parametrize("text", ["\x00" * 999, "\U0010ffff" * 99, f"x{LINK}", "\u202e://y z", f"{'a' * 300}{LINK}"])
def test_a_repr_holds_no_link_and_no_control_character(text: str) -> None:
    """It has at most 120 characters, whatever the texts and links are."""
    line = repr(
        generation(
            id=text, state_text=text, prompt=text, failure_reason=text, result_url=LINK, video=Video(url=Link(LINK))
        )
    )

    assert len(line) <= 120
    assert line.isprintable()
    assert "://" not in line
    assert "secret" not in line


def test_a_notebook_shows_text_and_a_link_and_loads_nothing() -> None:
    """All texts are escaped; the link opens without a referrer."""
    its = generation(
        id="<b>",
        prompt='<img src="https://x.example/i">',
        video=Video(url=Link(f'{LINK}"onload=')),
        thumbnail=Image(url=A),
    )

    html = its._repr_html_()  # pyright: ignore[reportPrivateUsage]

    assert html == (
        "<div><code>&lt;b&gt;</code> completed "
        '<a href="https://cdn.example/v.mp4?sig=secret&quot;onload=" target="_blank" rel="noreferrer">video</a>'
        "<br>&lt;img src=&quot;https://x.example/i&quot;&gt;</div>"
    )


@pytest.mark.parametrize("link", ["http://cdn.example/v.mp4", "data:video/mp4;base64,AAAA", "javascript:alert(1)"])
def test_a_notebook_links_to_https_only(link: str) -> None:
    """Any other link is left out."""
    assert "<a" not in generation(result_url=Link(link))._repr_html_()


@pytest.mark.parametrize("kind", [Video, RawVideo, Image])
def test_a_repr_of_a_part_holds_no_medium(kind: type[Video | RawVideo | Image]) -> None:
    """A link may hold the video itself, of megabytes."""
    part = kind(url=Link("data:video/mp4;base64," + "A" * 5000))

    assert len(repr(part)) < 300
