"""The gallery where people look at it: a real browser, headless.

Without one these tests are skipped; ``LUMA_ASYNC_NEEDS_BROWSER=1``, which ``.ci/run`` sets, makes that a failure.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import AsyncGenerator, Iterator
from mimetypes import guess_type
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import luma_async.testing
from luma_async import TransportError
from luma_async._text import shown
from luma_async.cli import main
from tests.browser import Tab, chromium, needed_program, new_tab
from tests.cli.batch import Told
from tests.cli.test_gallery_page import HOSTILE

pytestmark = pytest.mark.slow

MEDIA = Path(luma_async.testing.__file__).parent

LOOKS = [(390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")]

LONG = "w" * 300
"""No place to break."""


@pytest.fixture(scope="module")
def debugger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A browser for all tests of this module."""
    with chromium(needed_program(), tmp_path_factory.mktemp("profile")) as address:
        yield address


@pytest.fixture
async def tab(debugger: str) -> AsyncGenerator[Tab]:
    """A fresh tab."""
    async with new_tab(debugger) as tab:
        yield tab


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery with something of everything, and no media but stored ones."""
    lines = [
        Told(task_id="stored", prompt="a fox crossing fresh snow").line,
        Told(task_id="a" * 128, prompt=LONG, links={}).line,
        Told(task_id="failed", status="FAILURE", reason=LONG, queue=None, processing=None, waited=4000.0).line,
        Told(task_id="late", status="IN_PROGRESS", processing=None).line,
        Told(task_id="lost").lost(TransportError("the connection was cut")),
    ]
    return made(tmp_path_factory.mktemp("gallery"), lines)


def made(directory: Path, lines: list[bytes]) -> Path:
    """Make a gallery of *lines* in *directory*, in which the media of the task ``stored`` are."""
    shutil.copy(MEDIA / "clip.mp4", directory / "stored.video.mp4")
    shutil.copy(MEDIA / "thumbnail.jpg", directory / "stored.thumbnail.jpg")
    (directory / "outcomes.jsonl").write_bytes(b"".join(lines))
    page = directory / "gallery.html"
    main(["gallery", str(directory / "outcomes.jsonl"), "--media", str(directory), "-o", str(page)])
    return page


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
async def test_it_fits_and_nothing_is_wrong_with_it(tab: Tab, page: Path, width: int, scheme: str) -> None:
    """No message in the console, nothing that the policy refuses, nothing beyond the window's right edge."""
    await tab.open(page.as_uri(), width=width, scheme=scheme)

    picture = await tab.screenshot()
    assert tab.troubles == []
    assert await tab.evaluate("document.documentElement.scrollWidth") == width
    assert await tab.evaluate(BEYOND) == []
    assert struct.unpack(">II", picture[16:24]) == (width, 900)
    assert await tab.evaluate("getComputedStyle(document.body).backgroundColor") == PAPER[scheme]


PAPER = {"light": "rgb(246, 245, 242)", "dark": "rgb(18, 20, 23)"}

BEYOND = """
[...document.querySelectorAll('body *:not(svg *):not(.name)')]
  .filter(it => it.getBoundingClientRect().right > innerWidth || it.scrollWidth > it.clientWidth + 1 && it.clientWidth)
  .map(it => it.outerHTML)
"""
"""Elements that reach beyond the window, or whose content reaches beyond them; the names in the figure are cut."""


@pytest.mark.parametrize(("width", "scheme"), [LOOKS[0], LOOKS[3]])
async def test_all_text_can_be_read(tab: Tab, page: Path, width: int, scheme: str) -> None:
    """The contrast of each text with what is behind it is at least 4.5 to 1, and no letter is smaller than 12 px."""
    await tab.open(page.as_uri(), width=width, scheme=scheme)

    texts = await tab.evaluate(CONTRASTS)
    assert len(texts) > 50
    assert [text for text in texts if text["contrast"] < 4.5 or text["size"] < 12] == []


CONTRASTS = """
(() => {
  const light = colour => {
    const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const [r, g, b] = colour.match(/[\\d.]+/g).map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = it => {
    const colour = getComputedStyle(it).backgroundColor;
    return colour === 'rgba(0, 0, 0, 0)' ? behind(it.parentElement) : colour;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const it = walker.currentNode.parentElement, style = getComputedStyle(it);
    const ink = it instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(ink), light(behind(it))].sort((a, b) => b - a);
    found.push({text: walker.currentNode.data, contrast: (a + .05) / (b + .05), size: parseFloat(style.fontSize)});
  }
  return found;
})()
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A gallery of prompts and reasons that no page must obey."""
    told = (Told(task_id=f"{n}", prompt=text, status="FAILURE", reason=text) for n, text in enumerate(HOSTILE))
    return made(tmp_path, [it.line for it in told])


async def test_hostile_prompts_stay_text(tab: Tab, hostile: Path) -> None:
    """They stand on the page as they were written, control characters made visible, and nothing comes of them."""
    await tab.open(hostile.as_uri(), width=390, scheme="light")

    for elements in ("h3", ".trouble", ".name"):
        texts = await tab.evaluate(f"[...document.querySelectorAll('{elements}')].map(it => it.textContent)")
        assert texts == [shown(text) for text in HOSTILE]
    assert await tab.evaluate("document.querySelectorAll('script, img, body svg [onload]').length") == 0
    assert tab.troubles == []


async def test_the_policy_stops_what_would_act_all_the_same(tab: Tab, page: Path) -> None:
    """Scripts, handlers, styles and requests that get into the page are refused, and the console tells of it."""
    await tab.open(page.as_uri(), width=390, scheme="light")

    await tab.evaluate(
        "document.body.insertAdjacentHTML('beforeend', "
        '\'<img src=stored.thumbnail.jpg onload="window.acted=1"><p id=styled style="color:red">x</p>\');'
        "const s = document.createElement('script'); s.text = 'window.acted=1'; document.body.append(s);"
    )
    fetched = await tab.evaluate("fetch('https://cdn.example/').then(() => 'sent', () => 'refused')")

    assert (await tab.evaluate("window.acted ?? null"), fetched) == (None, "refused")
    assert await tab.evaluate("document.querySelector('#styled').style.color") == ""
    assert len(tab.troubles) >= 4


@pytest.mark.parametrize("served", [False, True], ids=["from disk", "from a server"])
async def test_a_stored_video_shows_its_first_frame(tab: Tab, page: Path, served: bool) -> None:  # noqa: FBT001 - a case's name
    """The policy lets it through, wherever the page comes from, before anybody plays it."""
    async with TestServer(serving(page.parent)) as server:
        address = str(server.make_url(f"/{page.name}")) if served else page.as_uri()
        await tab.open(address, width=1440, scheme="light")

        assert await tab.evaluate(FIRST_FRAME) == 160

    assert tab.troubles == []


def serving(directory: Path) -> web.Application:
    """Return a server of the files in *directory*; there is nothing else, such as the icon that browsers ask for.

    It answers out of its memory: aiohttp's own leaves a file open where a browser breaks off.
    """
    files = {path.name: path.read_bytes() for path in directory.iterdir()}

    async def serve(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in files:
            return web.Response(status=204)
        return web.Response(body=files[name], content_type=guess_type(name)[0] or "text/plain")

    app = web.Application()
    app.router.add_get("/{name}", serve)
    return app


FIRST_FRAME = """
new Promise((done, failed) => {
  const video = document.querySelector('video');
  video.onloadeddata = () => done(video.videoWidth);
  video.onerror = () => failed(video.error);
  if (video.readyState >= 2) done(video.videoWidth);
})
"""


async def test_the_keyboard_reaches_everything(tab: Tab, page: Path) -> None:
    """In the order of the page, and one sees where one is."""
    await tab.open(page.as_uri(), width=1440, scheme="light")

    reached: list[tuple[str, str]] = []
    while (at := await next_stop(tab)) not in reached[:1]:
        reached.append(at)

    named = [name for name, _ in reached if name != "BODY"]
    assert named[:4] == ["Completed (2)", "Failed (1)", "Not done (2)", "Times"]
    assert named[4:] == ["Video: a fox crossing fresh snow", "Stored file", "Whole prompt"]
    assert [name for name, outline in reached if name != "BODY" and outline != "solid"] == []


async def next_stop(tab: Tab) -> tuple[str, str]:
    """Press Tab until the focus is elsewhere, and return who has it and how that is shown.

    A video keeps it for each of its controls.
    """
    told = (
        "[document.activeElement].map(it => [it.tagName === 'BODY' ? 'BODY' : it.ariaLabel ?? it.textContent, "
        "getComputedStyle(it).outlineStyle])[0]"
    )
    before, _ = await tab.evaluate(told)
    while True:
        await tab.press("Tab")
        name, outline = await tab.evaluate(told)
        if name != before:
            return name, outline


async def test_enter_goes_where_a_link_leads(tab: Tab, page: Path) -> None:
    """The way to a section moves the page there."""
    await tab.open(page.as_uri(), width=1440, scheme="light")
    for _ in range(2):
        await next_stop(tab)
    await tab.press("Enter")

    assert await tab.evaluate("location.hash") == "#failed"
    assert await tab.evaluate("Math.round(document.querySelector('#failed').getBoundingClientRect().top) < 900")


async def test_a_screen_reader_is_told_everything(tab: Tab, page: Path) -> None:
    """Landmarks, headings, links, articles and media have roles and names; the drawing is told in words."""
    await tab.open(page.as_uri(), width=1440, scheme="light")

    met = await tab.accessible()
    roles = {role for role, _ in met}
    assert {"banner", "navigation", "main", "contentinfo", "heading", "article", "figure", "list", "term"} <= roles
    assert [role for role, name in met if role in NAMED and not name] == []
    assert {role for role in roles if role.startswith(("SvgRoot", "graphics", "image"))} == set()
    assert [name for role, name in met if role == "region"] == ["Completed 2", "Failed 1", "Not done 2", "Times"]
    assert ("Video", "Video: a fox crossing fresh snow") in met
    assert ("StaticText", "queue 12 s, processing 41 s") in met


NAMED = ("RootWebArea", "navigation", "region", "article", "figure", "heading", "link", "Video", "image", "button")
"""Roles that say nothing without a name."""
