"""What stands on a terminal, or with the options of the output, for each result."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.color import ColorSystem
from rich.console import Console

from luma_async import (
    DownloadError,
    Generation,
    GenerationFailedError,
    Outcome,
    RequestTimeoutError,
    State,
    UncertainSubmitError,
    Video,
    WaitTimeoutError,
)
from luma_async._records import StoredFile
from luma_async.cli.forms import JsonForm, QuietForm
from luma_async.cli.lines import HumanForm
from luma_async.models import GenerationRequest, Link
from tests.cli.test_table import UUID

LINK = f"https://cdn.example/{'x' * 600}.mp4?X-Amz-Expires=3600"
PROMPT = "a paper boat dancing in the rain over a city made of glass and of light"
FILE = Path("/v/4665a07c-7641-4809-a133-10786201bb56.video.mp4")


def form(width: int = 80, *, clickable: bool = True) -> HumanForm:
    """Return the form for a terminal of that width, which may know links to click."""
    screen = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, highlight=False)
    screen._color_system = ColorSystem.STANDARD if clickable else None
    return HumanForm(screen)


def files(*paths: Path | None) -> dict[str, StoredFile | None]:
    """Return what is stored at *paths*, in their roles."""
    return {role: StoredFile(path) if path else None for role, path in zip(("video", "thumbnail"), paths, strict=False)}


def seen(text: str) -> str:
    """Return *text* as a terminal shows it, without its codes."""
    return re.sub(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;]*m", "", text)


def completed(task_id: str = UUID, url: str = LINK, prompt: str | None = PROMPT) -> Outcome:
    """Return the outcome of a generation with a link."""
    request = None if prompt is None else GenerationRequest(prompt=prompt)
    video = Video(download_url=Link(url))
    generation = Generation(id=task_id, state=State.COMPLETED, state_text="completed", video=video, request=request)
    return Outcome(task_id=task_id, generation=generation, elapsed=200.0)


def failed(reason: str) -> Outcome:
    """Return the outcome of a generation that failed."""
    generation = Generation(id=UUID, state=State.FAILED, state_text="failed", failure_reason=reason)
    return Outcome(task_id=UUID, error=GenerationFailedError(generation))


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("stored", [None, FILE], ids=["link", "file"])
def test_a_result_is_one_line_with_a_link_to_click(width: int, stored: Path | None) -> None:
    """It has the whole UUID, the time, and as many whole words of the prompt as fit, or the file."""
    text = form(width).outcome(completed(), files(stored))
    line = seen(text)

    assert line.count("\n") == 1
    assert len(line.rstrip()) <= width
    assert line.split()[:4] == ["completed", "3", "min", "20"]
    assert UUID in line
    if width >= 80:
        assert f";{LINK if stored is None else FILE.as_uri()}\x1b" in text
        words = line.partition(UUID)[2].strip().removesuffix("...").split()
        assert words
        assert stored is not None or set(words) <= set(PROMPT.split())


@pytest.mark.parametrize("width", [30, 80])
def test_a_link_is_whole_where_it_cannot_be_clicked(width: int) -> None:
    """It has a line of its own, which is not cut or broken by us."""
    assert f" {LINK}\n" in form(width, clickable=False).outcome(completed())


@pytest.mark.parametrize("stored", [None, FILE], ids=["link", "file"])
def test_a_console_without_links_gets_them_as_text(stored: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Linux console has colours, but prints the codes of a link."""
    monkeypatch.setenv("TERM", "linux")

    text = form(400).outcome(completed(), files(stored))

    assert "\x1b]8;" not in text
    assert (str(stored) if stored else LINK) in text


def test_a_link_that_a_terminal_may_obey_is_text_alone() -> None:
    """Escapes in a link cannot end it early."""
    text = form(400).outcome(completed(url="https://cdn.example/\x1b\\\x1b[2J"))

    assert "\x1b]8;" not in text
    assert "\x1b[2J" not in text


def test_a_data_link_is_shown_in_part_and_leads_nowhere() -> None:
    """The terminal is not given the medium."""
    link = f"data:video/mp4;base64,{'AAAA' * 500}"

    text = form(400).outcome(completed(url=link))

    assert "\x1b]8;" not in text
    assert link[:61] not in text


@pytest.mark.parametrize("width", [40, 60, 80, 400])
def test_a_reason_is_whole_and_its_words_too(width: int) -> None:
    """It stands on the line of its id if it fits, else below, wrapped between words."""
    reason = "the prompt was refused by moderation because of a word that the relay does not name"

    lines = seen(form(width).outcome(failed(reason))).rstrip("\n").split("\n")

    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()).endswith(f"the generation failed: {reason}")
    assert (len(lines) == 1) is (width == 400)


def test_nothing_from_outside_is_obeyed() -> None:
    """Escapes, markup and line breaks in ids, prompts and reasons come out as text."""
    wild = "\x1b[31mred\x1b[0m [bold]loud[/bold] \u202eback\nnext"
    plain = r"\x1b[31mred\x1b[0m [bold]loud[/bold] \u202eback\nnext"

    assert plain in form(400).outcome(failed(wild))
    assert plain in form(400).outcome(completed(prompt=wild))
    assert plain in form(400).submission(wild, "t-1", None)


def test_a_timeout_says_what_to_do() -> None:
    """The line of an id that was not done in time holds its last state and the way out."""
    last = Generation(id="a", state=State.PENDING, state_text="queued")
    error = WaitTimeoutError("a", waited=5.0, last=last, last_error=None)

    text = seen(form(200).outcome(Outcome(task_id="a", error=error)))

    assert text.startswith("not done         0 s  a  not done after 5.0 s, last state 'queued' (the generation goes on")


def test_a_submit_names_the_whole_id_or_the_whole_error() -> None:
    """It is paid for: neither is cut on any terminal, and words of the prompt are left out instead."""
    long = "x" * 300
    uncertain = UncertainSubmitError(RequestTimeoutError("no answer in time"), candidates=(long,))

    assert seen(form(80).submission(PROMPT, long, None)) == f"submitted {long}\n"
    assert seen(form(80).submission(PROMPT, UUID, None)).startswith(f"submitted {UUID}  a paper boat dancing in the...")
    assert long in "".join(seen(form(60).submission(PROMPT, None, uncertain)).split())


def test_each_of_several_files_is_named() -> None:
    """Also beside the error of another one."""
    picture = Path("/v/a.jpg")
    lost = Outcome(task_id="a", error=DownloadError("no", reason="status"))

    plain = seen(form(200).outcome(completed("a"), files(FILE, picture)))
    missing = seen(form(200).outcome(lost, files(None, picture)))

    assert [line.split()[-1] for line in plain.splitlines()] == [str(FILE), str(picture)]
    assert [line.split()[-1] for line in missing.splitlines()] == ["no", str(picture)]
    assert QuietForm(has_files=True).outcome(completed("a"), files(FILE, picture)) == f"{FILE}\n{picture}\n"
    assert QuietForm(has_files=True).outcome(lost, files(None, picture)) == f"{picture}\n"


@pytest.mark.parametrize(
    ("outcome", "stored", "has_files", "text"),
    [
        (completed("a"), None, False, "a\n"),
        (completed("a"), FILE, True, f"{FILE}\n"),
        (failed("too violent"), None, False, ""),
        (Outcome(task_id="a", generation=Generation(id="a", state=State.PENDING, state_text="")), None, False, ""),
    ],
)
def test_quiet_is_ids_or_paths_only(
    outcome: Outcome,
    stored: Path | None,
    has_files: bool,  # noqa: FBT001
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Standard error has errors only."""
    assert QuietForm(has_files=has_files).outcome(outcome, files(stored)) == text
    err = capsys.readouterr().err
    assert ("too violent" in err) is (outcome.error is not None)
    assert outcome.error is not None or not err


def test_quiet_names_what_a_submit_got(capsys: pytest.CaptureFixture[str]) -> None:
    """Each new id is on a line, unless it is waited for; a refusal is on standard error with its prompt."""
    assert QuietForm(waits=False).submission("a cat", "t-1", None) == "t-1\n"
    assert QuietForm(waits=True).submission("a cat", "t-1", None) == ""
    assert QuietForm(waits=False).submission("a dog", None, RequestTimeoutError("too late")) == ""
    assert capsys.readouterr().err == "luma-async: a dog: too late\n"


def test_the_advice_of_a_json_line_names_options() -> None:
    """Of an outcome, and of a submit."""
    error = RequestTimeoutError("too late", advice="give it more time: Limits(request_timeout=...)")

    lines = JsonForm().outcome(Outcome(task_id="a", error=error)), JsonForm().submission("a cat", None, error)

    for line in lines:
        assert json.loads(line)["error"]["message"].endswith("too late (give it more time: --request-timeout)")
