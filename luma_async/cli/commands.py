"""The commands: their arguments and help.

Each returns the coroutine that does the work: slow imports are over before an event loop runs.
"""

# ruff: noqa: PLC0415 - --help must not load aiohttp

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from luma_async._text import shown
from luma_async.cli.exit import Status
from luma_async.cli.naming import ResumeCommand
from luma_async.cli.options import (
    AsJson,
    AsJsonRows,
    Database,
    Directory,
    Explained,
    ExplainedId,
    Files,
    FleetObject,
    FleetTask,
    FromFile,
    FromPrompts,
    Gallery,
    GenerationFlags,
    Lines,
    MostListed,
    Outcomes,
    Output,
    PromptTexts,
    Relay,
    Simulation,
    StoreObject,
    Storing,
    SubmitFlags,
    TaskIds,
    Timeout,
    Waiting,
    words_of,
)
from luma_async.cli.usage import usage_error
from luma_async.errors import ConfigurationError
from luma_async.settings import VERSION

app = App(
    name="luma-async",
    help="Wait for Luma video generations behind relays: give it task ids, get finished videos.",
    help_epilogue="The relay's address and key come from LUMA_BASE_URL and LUMA_API_KEY (or LUMA_API_KEY_FILE). "
    "Try it without either: luma-async demo",
    help_format="plaintext",
    version=f"luma-async {VERSION}",
    error_formatter=usage_error,
)

Work = Coroutine[Any, Any, Status]

_RELAY, _WAITING, _FILES, _STORING, _LINES, _OUTPUT = Relay(), Waiting(), Files(), Storing(), Lines(), Output()
_GENERATION_FLAGS, _SUBMIT_FLAGS, _GALLERY, _SIMULATION = GenerationFlags(), SubmitFlags(), Gallery(), Simulation()


def _name_of(file: Path | None) -> str | None:
    """Return the name as the readers take it; shells complete an option only if it is a Path."""
    return None if file is None else str(file)


@app.command
def get(*ids: TaskIds, from_: FromFile = None, lines: Lines = _LINES, relay: Relay = _RELAY) -> Work:
    """Poll each generation once, in any state.

    Example: luma-async get 6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e7f
    """
    from luma_async.cli.ids import Ids
    from luma_async.cli.summary import Summary
    from luma_async.cli.work import open_job, poll_once, run_job

    summary, source = Summary(), _name_of(from_)
    client = relay.client(on_event=summary.note)
    again = ResumeCommand(("get", *words_of(relay, lines)), source, frozenset(ids))
    return run_job(open_job(client, Ids.of(ids, source), lines, waits=False, summary=summary, again=again), poll_once)


@app.command
def wait(  # noqa: PLR0913 - its options, in groups
    *ids: TaskIds,
    from_: FromFile = None,
    store: StoreObject = None,
    relay: Relay = _RELAY,
    waiting: Waiting = _WAITING,
    storing: Storing = _STORING,
    output: Output = _OUTPUT,
) -> Work:
    """Wait for generations, and show each as it ends; with --download, store the videos too.

    Example: luma-async wait --from ids.txt --timeout 600 > outcomes.jsonl
    """
    return _wait_for("wait", ids, _name_of(from_), relay, waiting, storing, output, store)


@app.command
def download(
    *ids: TaskIds,
    from_: FromFile = None,
    relay: Relay = _RELAY,
    waiting: Waiting = _WAITING,
    files: Files = _FILES,
    output: Output = _OUTPUT,
) -> Work:
    """Wait for generations, and store the video of each as it completes.

    A file that cannot be stored is an error of that id only; its line still has the generation.

    Example: luma-async download --directory videos 6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e7f
    """
    return _wait_for("download", ids, _name_of(from_), relay, waiting, files, output)


def _wait_for(  # noqa: PLR0913, PLR0917 - what both commands have
    name: str,
    ids: tuple[str, ...],
    source: str | None,
    relay: Relay,
    waiting: Waiting,
    storing: Storing | Files,
    output: Output,
    store: str | None = None,
) -> Work:
    from luma_async.cli.fleet import named
    from luma_async.cli.ids import Ids
    from luma_async.cli.stores import Store
    from luma_async.cli.storing import check_files
    from luma_async.cli.summary import Summary
    from luma_async.cli.work import EarlierRuns, open_job, run_job, wait, wait_into

    summary = Summary(verbose=output.verbose, quiet=output.quiet, bell=output.bell)
    files = storing.files
    if store and (files or waiting.journal):
        raise ConfigurationError("--store is for outcomes only", advice="for files too, use --journal instead")
    outcomes = Store.of(named(store), store) if store else None
    check_files(files)
    client = relay.client(waiting.polling, media=storing, on_event=summary.note)
    earlier = EarlierRuns.of(waiting.journal, files)
    words = (name, *words_of(relay, waiting, storing, output), *(("--store", store) if store else ()))
    again = ResumeCommand(words, source, frozenset(ids))
    job = open_job(
        client, Ids.of(ids, source), output, stores=files is not None, earlier=earlier, summary=summary, again=again
    )
    work = partial(wait_into, outcomes, waiting=waiting) if outcomes else partial(wait, waiting=waiting, files=files)
    return run_job(job, work)


def _command(name: str, *options: object, what: Literal["ids", "prompts"] = "ids") -> ResumeCommand:
    return ResumeCommand((name, *words_of(*options)), None, frozenset(), what=what)


@app.command
def submit(  # noqa: PLR0913 - its options, in groups
    *prompts: PromptTexts,
    from_: FromPrompts = None,
    generation: GenerationFlags = _GENERATION_FLAGS,
    relay: Relay = _RELAY,
    submitting: SubmitFlags = _SUBMIT_FLAGS,
    waiting: Waiting = _WAITING,
    output: Output = _OUTPUT,
) -> Work:
    """Submit prompts, which costs money, and print each task id as soon as the relay gives it.

    A prompt that the relay may have taken is never submitted again: that is an error. With --download or --journal
    the command also waits. Started again, it submits again, unless --receipts tells what was submitted.

    Example: luma-async submit "a cat dancing" --aspect-ratio 16:9 --download videos
    """
    from luma_async.cli.receipts import Receipts
    from luma_async.cli.retries import Retries
    from luma_async.cli.rows import Rows
    from luma_async.cli.storing import check_files
    from luma_async.cli.submitting import Submissions, Submitter, submit
    from luma_async.cli.summary import Summary
    from luma_async.cli.work import EarlierRuns

    summary = Summary(verbose=output.verbose, quiet=output.quiet, bell=output.bell)
    storing = submitting.storing
    check_files(storing.files)
    earlier = EarlierRuns.of(waiting.journal, storing.files)
    waits = waiting if submitting.wait or storing.files or earlier else None
    submitting.check(waits=waits is not None)
    receipts = Receipts.of(submitting.receipts, repeats_open=submitting.repeat_open)
    submissions = Submissions(
        submitter=Submitter(relay.client(waiting.polling, media=storing, on_event=summary.note), receipts),
        rows=Rows.of(prompts, _name_of(from_), generation.options),
        at_once=submitting.at_once,
        again=_command("wait", relay, waiting, storing, output),
        rest=None if receipts else _command("submit", generation, relay, submitting, waiting, output, what="prompts"),
        retries=Retries.of(submitting.retry_failed, receipts),
    )
    return submit(submissions, waits, storing.files, earlier=earlier, output=output, summary=summary)


@app.command
def ls(*, limit: MostListed = 20, lines: Lines = _LINES, relay: Relay = _RELAY) -> Work:
    """List the newest generations of the key, where the API can do this: to find ids that were lost.

    With --quiet it prints the ids only, in any state. The JSON lines are those of the command get, and other commands
    take them as ids: luma-async ls | luma-async wait

    Example: luma-async ls --dialect luma --limit 50
    """
    from luma_async.cli.show import Board
    from luma_async.cli.work import list_recent

    board = Board()
    return list_recent(relay.client(on_event=board.note), limit, lines, board)


@app.command
def check(
    *,
    explain: Explained = None,
    id_: ExplainedId = None,
    as_json: AsJsonRows = False,
    relay: Relay = _RELAY,
) -> Work:
    """Check the address and the key, whether the relay has the batch query, and how fast it answers.

    It costs nothing: it only polls tasks that do not exist. The status is 0 if address and key are good, else 1. With
    --explain it asks nothing: it shows what is read from a captured answer, from where, and what is missing. The status
    is then 0 if id, state and, for a completed task, a link were found, or the id in the answer to a submit; else 1.

    Example: luma-async check --base-url https://relay.example --key-file luma.key
    """
    if explain is not None:
        from luma_async.cli.check.explanation import show_explanation

        return show_explanation(str(explain), relay.spelling, id_, as_json=as_json)
    if id_ is not None:
        raise ConfigurationError("--id is only for --explain", advice="to poll a task, use the command get")
    from luma_async.cli.check.command import check

    return check(relay.settings(request_timeout=10.0), relay.network(), as_json=as_json)


@app.command
def gallery(*files: Outcomes, options: Gallery = _GALLERY) -> Work:
    """Make one HTML page about a batch: videos, prompts, failures with their reasons, and times.

    The page has no script, and needs a network only for media that are not stored.

    Example: luma-async gallery outcomes.jsonl --media videos -o gallery.html
    """
    from luma_async.cli.gallery.files import write_gallery

    return write_gallery([str(file) for file in files], options)


@app.command
def demo(*, directory: Directory = Path("luma-demo"), as_json: AsJson = False) -> Work:
    """Wait for six generations of a simulated relay and store their videos: no key, no network, under 15 seconds.

    One of them fails, to show how that looks; the status is 0 all the same.

    Example: luma-async demo
    """
    from luma_async.cli.demo import play

    return play(directory, as_json=as_json)


@app.command
def simulate(*, simulation: Simulation = _SIMULATION) -> Work:
    """Run a simulated relay until Ctrl-C; print address and key as comments, and ids as wait --from reads them.

    Example: luma-async simulate --port 8080 --speed 10 --flavour new-api --trouble 503-limit
    """
    from luma_async.cli.demo import serve

    return serve(simulation)


@app.command
def work(
    app_: FleetObject, /, *, concurrency: Annotated[int, Parameter(metavar="N", validator=Number(gte=2))] = 5000
) -> Work:
    """Take ids from the queue and wait for them, until a signal; then hand all back. Needs the extra fleet.

    Example: luma-async work app:fleet --concurrency 5000
    """
    from luma_async.cli.fleet import work

    return work(app_, concurrency)


@app.command
def enqueue(*ids: TaskIds, from_: FromFile = None, timeout: Timeout = 1800.0, database: Database = None) -> Work:
    """Hand ids over to the workers of a fleet, all or none. Needs the extra fleet.

    Example: luma-async enqueue --from ids.txt
    """
    from luma_async.cli.fleet import enqueue
    from luma_async.cli.ids import Ids

    return enqueue(Ids.of(ids, _name_of(from_)), database, timeout)


@app.command
def fleet(task: FleetTask = "status", /, *, database: Database = None) -> Work:
    """Show what the queue of a fleet holds, or create its tables. Needs the extra fleet.

    Example: luma-async fleet status
    """
    from luma_async.cli.fleet import install, show_status

    return install(database) if task == "install" else show_status(database)


@app.command(name="--install-completion")
def install_completion(
    *,
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None,
        Parameter(help="The shell. [default: the shell that runs this command]"),
    ] = None,
) -> None:
    """Let the shell complete commands and options with the Tab key.

    It writes a script to your home directory, and for bash, zsh and PowerShell a line to the file they start with.

    Example: luma-async --install-completion
    """
    from cyclopts.completion.detect import ShellDetectionError

    from luma_async.cli.output import write

    try:
        path = app.install_completion(shell=shell)
    except ShellDetectionError:
        raise ConfigurationError(
            "your shell is not known", advice="name it: luma-async --install-completion --shell zsh"
        ) from None
    except OSError as error:
        where = shown(error.filename or "the script")
        raise ConfigurationError(
            f"{where} cannot be written: {error.strerror}", advice="check its permissions, and HOME"
        ) from None
    write(f"{path}\nIt works in every new shell.\n{_zsh_hint(path)}")


def _zsh_hint(path: Path) -> str:
    """Return what zsh still needs, if the script at *path* is for zsh and its start-up file never loads completion."""
    start = Path.home() / ".zshrc"
    if path.name[:1] != "_" or not start.is_file() or "compinit" in start.read_text(encoding="utf-8", errors="replace"):
        return ""
    return f"If not, zsh has no completion yet; add this to {start}: autoload -Uz compinit && compinit\n"
