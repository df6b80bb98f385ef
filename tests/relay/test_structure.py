"""JSON to attrs and back: strict about types, lenient about shape."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from luma_async import Generation, State
from luma_async._checks import _parsed_link, link_or_none
from luma_async._relay.documents import NotJSONError, decode, opened, rows_apart
from luma_async._relay.structure import generation
from luma_async._relay.tasks import read_task
from tests.kit import TASK_ID, answer

LINK = "https://cdn.example/a.mp4"


def structured(**fields: Any) -> Generation:
    """Structure a completed generation with *fields*."""
    return generation({"id": TASK_ID, "state": State.COMPLETED, "state_text": "completed", **fields})


# --- rows that came before ---

SHORT = [b'{"id":"%d"}' % number for number in range(4)]
LONG = [b'{"id":"%d","state":"pending","prompt":"%s"}' % (number, b"cat" * 20) for number in range(4)]
NEW = b'{"id":"9"}'


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        (SHORT, SHORT),
        (LONG, LONG),
        (LONG[::-1], LONG),
        ([LONG[0], NEW, *LONG[2:]], LONG),
        ([NEW, *LONG], LONG),
        (LONG[1:], LONG),
        ([LONG[0], *SHORT[1:]], [LONG[0], *SHORT[1:]]),
    ],
    ids=["short", "long", "the other way round", "one changed", "one more", "one less", "mixed"],
)
@pytest.mark.parametrize("between", [b",", b" ,\n"], ids=["close by", "apart"])
def test_rows_that_came_before_are_not_parsed(rows: list[bytes], known: list[bytes], between: bytes) -> None:
    """They are the very texts that are known, wherever they stand."""
    document, found = rows_apart(b"[%s]" % between.join(rows), known)

    assert document == []
    assert found == [(row, {"id": "9"} if row is NEW else None) for row in rows]
    assert all(text is row for text, row in zip((text for text, _ in found), rows, strict=True) if row is not NEW)


# --- times (contract section 1) ---

_MOMENT = datetime(2024, 7, 1, 7, 35, 13, tzinfo=UTC)


@pytest.fixture(params=["America/New_York", "UTC"])
def in_a_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the machine's own zone UTC, or one in which year 1 overflows."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_a_zone")
@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("", 0),
        (".4", 400_000),
        (".49", 490_000),
        (".498", 498_000),
        (".4986", 498_600),
        (".49866", 498_660),
        (".498660", 498_660),
        (".4986601", 498_660),
        (".49866012", 498_660),
        (".498660123", 498_660),
    ],
)
@pytest.mark.parametrize("zone", ["Z", "z", "+00:00", ""])
def test_a_time_may_have_any_number_of_fraction_digits(text: str, microsecond: int, zone: str) -> None:
    """It comes out aware and in UTC; what is finer than a microsecond is cut off."""
    generation = structured(created_at=f"2024-07-01T07:35:13{text}{zone}")

    assert generation.created_at == _MOMENT.replace(microsecond=microsecond)
    assert generation.created_at is not None
    assert generation.created_at.tzinfo is UTC
    assert generation.problems == ()


@pytest.mark.parametrize(
    "value",
    ["2024-07-01T15:35:13+08:00", "2024-07-01 07:35:13", 1_719_819_313, 1_719_819_313.0, "2024-07-01T02:35:13-05:00"],
)
def test_offsets_and_unix_seconds_become_utc(value: Any) -> None:
    """Some envelopes hold Unix seconds; other zones are the same moment."""
    assert structured(created_at=value).created_at == _MOMENT


@pytest.mark.usefixtures("in_a_zone")
@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00.000Z",
        "0001-01-01",
        0,
        0.0,
        -62_135_596_800,
        "",
        None,
    ],
)
def test_not_set_is_no_problem(value: Any) -> None:
    """Go's zero time in any form, 0, and nothing at all mean *not set*, in any zone."""
    generation = structured(created_at=value, artifact={"created_at": value})

    assert generation.created_at is None
    assert generation.artifact is not None
    assert generation.artifact.created_at is None
    assert generation.problems == ()


@pytest.mark.usefixtures("in_a_zone")
@pytest.mark.parametrize(
    "value",
    [
        "2024-13-99",
        "yesterday",
        "2024-07-01T25:00:00Z",
        "9999-12-31T23:59:59-05:00",
        10**18,
        -(10**18),
        1e300,
        True,
        [],
        {},
    ],
)
def test_an_unusable_time_is_a_problem_and_nothing_worse(value: Any) -> None:
    """The raw text stays in the raw answer."""
    generation = structured(created_at=value, raw={"created_at": value})

    assert generation.created_at is None
    assert generation.problems == ("created_at",)
    assert generation.raw["created_at"] == value


# --- numbers ---


@pytest.mark.parametrize(
    ("value", "width"), [(1360, 1360), (1360.0, 1360), (0, 0), (-1, -1), (10**19 + 1, 10**19 + 1), (None, None)]
)
def test_a_whole_number_is_a_size(value: Any, width: int | None) -> None:
    """A float without a fraction may stand for an integer; the type is ``int`` in any case."""
    generation = structured(video={"width": value})

    assert generation.video is not None
    assert generation.video.width == width
    assert type(generation.video.width) is type(width)
    assert generation.problems == ()


@pytest.mark.parametrize("value", ["1360", "", True, False, 1360.5, [1360], {"px": 1360}])
def test_what_is_no_whole_number_is_no_size(value: Any) -> None:
    """Nothing is guessed: ``True`` is not 1, and ``"1360"`` is not 1360."""
    generation = structured(video={"url": LINK, "width": value})

    assert generation.video is not None
    assert generation.video.width is None
    assert generation.video.url == LINK
    assert generation.problems == ("video.width",)


@pytest.mark.parametrize(("value", "duration"), [(5.041667, 5.041667), (5, 5.0), (0, 0.0)])
def test_a_duration_is_a_float(value: Any, duration: float) -> None:
    """Whole seconds too."""
    raw = structured(video_raw={"duration": value}).video_raw

    assert raw is not None
    assert raw.duration == duration
    assert type(raw.duration) is float


@pytest.mark.parametrize("value", ["5", "5s", True, False, [5]])
def test_what_is_no_number_is_no_duration(value: Any) -> None:
    """It is noted, and the rest of the object stays."""
    generation = structured(video_raw={"url": LINK, "duration": value})

    assert generation.video_raw is not None
    assert generation.video_raw.duration is None
    assert generation.video_url == LINK
    assert generation.problems == ("video_raw.duration",)


# --- texts and links ---


@pytest.mark.parametrize("value", [5, True, ["x"], {"x": 1}, 0.5])
def test_what_is_no_text_does_not_become_one(value: Any) -> None:
    """Never the string ``"None"`` or ``"5"``."""
    generation = structured(prompt=value, request={"prompt": value, "aspect_ratio": "16:9"})

    assert generation.prompt is None
    assert generation.request is not None
    assert (generation.request.prompt, generation.request.aspect_ratio) == (None, "16:9")
    assert set(generation.problems) == {"prompt", "request.prompt"}


@pytest.mark.parametrize(
    "link",
    [
        "https://a.example",
        "http://a.example/b?c=d#e",
        "HTTPS://A.example/",
        "https://[::1]:8/x",
        "https://cdn.example/a%2Fb%20c.mp4?Signature=ab%2Fcd&x=[1]",
        "https://bücher.example/v.mp4",
    ],
)
def test_an_absolute_web_address_is_a_link(link: str) -> None:
    """It is kept as it came."""
    assert link_or_none(link) == link
    assert structured(video={"url": link}).video_url == link


@pytest.mark.parametrize(
    ("link", "clean"),
    [
        (" https://a.example/v.mp4\n", "https://a.example/v.mp4"),
        ("https://a.example/a b%2Fc.mp4", "https://a.example/a%20b%2Fc.mp4"),
        ("https://a.example/é.mp4?n={1}&p=50%", "https://a.example/%C3%A9.mp4?n=%7B1%7D&p=50%25"),
    ],
)
def test_what_a_url_cannot_hold_is_escaped_and_the_rest_stays(link: str, clean: str) -> None:
    """A signature over the rest stays valid."""
    assert link_or_none(link) == clean
    assert structured(video={"url": link}).video_url == clean


def test_long_links_are_not_remembered() -> None:
    """Whatever a relay sends, its links take no memory when the answer has gone; ordinary ones are a few KiB."""
    link_or_none(LINK)
    before = _parsed_link.cache_info()

    assert link_or_none(f"{LINK}?{'x' * 3000}") == f"{LINK}?{'x' * 3000}"
    assert link_or_none("https://" + "é" * 3000) == "https://" + "é" * 3000
    assert _parsed_link.cache_info() == before
    assert before.maxsize == 64


@pytest.mark.parametrize(
    "value",
    ["/v.mp4", "v.mp4", "//a.example/v.mp4", "ftp://a.example/v", "file:///etc/passwd", "data:video/mp4,AA", "none",
     "https://", "https:///v.mp4", "https://?x", "https://:80/", "https:a.example", "https://a b/", "https://u:p@a.example/",
     "https://a.example/\x1b[2J",
     "https://a.example/\nb", "https://a.example\\@b.example/", "https://[::1", 5, True, [LINK]],
)  # fmt: skip
def test_anything_else_in_a_links_place_is_a_problem(value: Any) -> None:
    """It is never handed out, and the next best link takes its place."""
    generation = structured(video={"download_url": value, "url": LINK}, assets={"video": value})

    assert link_or_none(value) is None
    assert generation.video_url == LINK
    assert set(generation.problems) == {"video.download_url", "assets.video"}


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_link_is_an_absent_one(value: Any) -> None:
    """``download_url`` is often ``""``: that is no problem to note."""
    generation = structured(video={"download_url": value, "url": LINK}, thumbnail=value)

    assert generation.video_url == LINK
    assert generation.problems == ()


# --- objects ---


@pytest.mark.parametrize("value", [None, "", []])
@pytest.mark.parametrize("name", ["video", "video_raw", "artifact", "thumbnail", "last_frame", "request", "assets"])
def test_an_absent_object_is_none(name: str, value: Any) -> None:
    """Null, and what some languages write for it."""
    generation = structured(**{name: value})

    assert getattr(generation, name) is None
    assert generation.problems == ()


@pytest.mark.parametrize("name", ["video", "video_raw", "artifact", "thumbnail", "last_frame", "request", "assets"])
def test_an_empty_object_is_an_object(name: str) -> None:
    """``{}`` is fine, and so are fields that nobody knows."""
    assert getattr(structured(**{name: {}}), name) == getattr(structured(**{name: {"new": [1]}}), name) is not None


@pytest.mark.parametrize("value", [5, True, [1], "not a link"])
@pytest.mark.parametrize("name", ["video", "thumbnail", "artifact"])
def test_what_is_no_object_is_a_problem(name: str, value: Any) -> None:
    """Nothing else is lost by it."""
    generation = structured(**{name: value}, video_raw={"url": LINK})

    assert generation.video_url == LINK
    assert len(generation.problems) == 1
    assert generation.problems[0].split(".")[0] == name


def test_a_string_or_text_may_stand_for_an_object() -> None:
    """A plain string is the object's link; JSON inside a string is the object."""
    generation = structured(
        video={"url": LINK, "thumbnail": "https://cdn.example/t.jpg"},
        video_raw='{"url": "https://cdn.example/r.mp4", "width": 4}',
        last_frame="https://cdn.example/f.jpg",
    )

    assert generation.link("thumbnail") == "https://cdn.example/t.jpg"
    assert generation.link("last_frame") == "https://cdn.example/f.jpg"
    assert generation.video_url == "https://cdn.example/r.mp4"
    assert generation.problems == ()


@pytest.mark.parametrize(
    "thumbnail", ["ftp://x", "t.jpg", '{"url": "t.jpg"}', {"url": "t.jpg"}, {"palette": {"grid": 5}}]
)
def test_a_problem_deep_inside_leaves_the_rest(thumbnail: Any) -> None:
    """Also where a string stands for the object."""
    generation = structured(video={"url": LINK, "width": 4, "thumbnail": thumbnail}, artifact={"video": {"width": "4"}})

    assert generation.video is not None
    assert (generation.video.url, generation.video.width) == (LINK, 4)
    assert len(generation.problems) == 2
    assert all(path.startswith(("video.thumbnail.", "artifact.video.width")) for path in generation.problems)


def test_what_a_relay_sends_cannot_take_the_place_of_our_own_fields() -> None:
    """``raw``, ``problems`` and the like in an answer are unknown fields like any other."""
    body = {"id": TASK_ID, "state": "completed", "raw": 5, "problems": "x", "result_url": 7, "state_text": 1}

    generation = read_task(answer(body), TASK_ID)

    assert generation.raw == body
    assert (generation.problems, generation.result_url, generation.state_text) == ((), None, "completed")


# --- decoding ---


@pytest.mark.parametrize(
    ("body", "documents"),
    [
        ("{}", [{}]),
        (" [1]\n", [[1]]),
        ("\ufeff{}", [{}]),
        ('{"a": 1}{"b": 2}', [{"a": 1}, {"b": 2}]),
        ('{"a": 1}\r\n\r\n {"b": 2} ', [{"a": 1}, {"b": 2}]),
        ("1 2", [1, 2]),
        ("{}" * 8, [{}] * 8),
        ('{"a": 1, "a": 2}', [{"a": 2}]),
    ],
)
def test_documents_may_be_run_together(body: str, documents: list[Any]) -> None:
    """One is usual, two happen, eight are the most."""
    assert decode(body.encode()) == documents


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff", "not UTF-8"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"{} x", "not JSON"),
        (b"{}" * 9, "many"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e400", "float"),
        (b"9" * 21, "integer"),
        (b"-" + b"9" * 21, "integer"),
        (b"[9" + b"0" * 5000 + b"]", "integer"),
        (b'{"a": [{"b": -1e999}]}', "float"),
        (b"[" * 65 + b"]" * 65, "too deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "too deep"),
        (b"[" * 100_000, "too deep"),
        (b'"a\nb"', "not JSON"),
    ],
)
def test_why_a_text_is_no_json_is_said(body: bytes, why: str) -> None:
    """In a few words that never hold the body."""
    with pytest.raises(NotJSONError, match=why) as caught:
        decode(body)

    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("body", ["9" * 20, "-" + "9" * 20, "[" * 64 + "]" * 64, "1e308", "-0.0"])
def test_the_bounds_themselves_are_fine(body: str) -> None:
    """Twenty digits, sixty-four levels, and any float that is one."""
    assert decode(body.encode()) == [json.loads(body)]


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ('{"a": 1}', {"a": 1}),
        (" [1]", [1]),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('"quoted"', "quoted"),
        ("{not json", "{not json"),
        ('"half', '"half'),
        ("plain", "plain"),
        ("5", "5"),
        ("\ud800{", "\ud800{"),
        ('{"a": "\ud800"}', '{"a": "\ud800"}'),
        (5, 5),
        (None, None),
    ],
)
def test_json_inside_a_string_is_opened(value: Any, meaning: Any) -> None:
    """Objects, lists and strings, over several levels; anything else stays as it is."""
    assert opened(value) == meaning
