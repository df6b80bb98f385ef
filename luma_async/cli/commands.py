"""The commands: their arguments and help. What they do is done elsewhere.

Each returns the coroutine that does it: imports that take their time are over before an event loop runs.
"""

# ruff: noqa: PLC0415 - imported where it is needed, or --help would load aiohttp

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from luma_async.cli.exit import Status
from luma_async.cli.naming import LineToGoOn
from luma_async.cli.options import (
    Afterwards,
    AsJson,
    AsJsonRows,
    Directory,
    Files,
    FromFile,
    FromPrompts,
    Media,
    Outcomes,
    Output,
    Overwrite,
    Page,
    PromptTexts,
    Relay,
    Storing,
    TaskIds,
    Waiting,
    Wishes,
    words_of,
)
from luma_async.cli.usage import complaint


def _version() -> str:
    from importlib.metadata import version

    return f"luma-async {version('luma-async')}"


app = App(
    name="luma-async",
    help="Wait for Luma video generations behind relays: give it task ids, get finished videos.",
    help_epilogue="The relay's address and key come from LUMA_BASE_URL and LUMA_API_KEY (or LUMA_API_KEY_FILE). "
    "Try it without either: luma-async demo",
    help_format="plaintext",
    version=_version,
    error_formatter=complaint,
)

Shell = Literal["bash", "zsh", "fish", "powershell"]

Work = Coroutine[Any, Any, Status]

_RELAY, _WAITING, _FILES, _STORING, _OUTPUT = Relay(), Waiting(), Files(), Storing(), Output()
_WISHES, _AFTERWARDS = Wishes(), Afterwards()


def _again(name: str, ids: tuple[str, ...], source: str | None, *options: object) -> LineToGoOn:
    """Return what goes on with what a command leaves open: the same command, or the command wait after a submit."""
    return LineToGoOn((name, *words_of(*options)), source, frozenset(ids))


@app.command
def get(*ids: TaskIds, from_: FromFile = None, as_json: AsJson = False, relay: Relay = _RELAY) -> Work:
    """Look once at each generation, in whatever state it is.

    Example: luma-async get 6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e7f
    """
    from luma_async.cli.work import done, look, open_job

    again = _again("get", ids, from_, relay)
    return done(open_job(ids, from_, relay.client(), as_json=as_json, again=again), look)


@app.command
def wait(
    *ids: TaskIds,
    from_: FromFile = None,
    relay: Relay = _RELAY,
    waiting: Waiting = _WAITING,
    storing: Storing = _STORING,
    output: Output = _OUTPUT,
) -> Work:
    """Wait for generations, and show each as it ends; store the videos, too, if that is wanted.

    Example: luma-async wait --from ids.txt --timeout 600 > outcomes.jsonl
    """
    from luma_async.cli.summary import Summary
    from luma_async.cli.work import Kept, done, fetch, open_job, wait

    files, summary = storing.files, Summary(verbose=output.verbose)
    client = relay.client(waiting.polling, private_media=storing.private_media, on_event=summary.note)
    kept = Kept.of(waiting.journal, files)
    again = _again("wait", ids, from_, relay, waiting, storing, output)
    job = open_job(ids, from_, client, as_json=output.as_json, kept=kept, summary=summary, again=again)
    if files is None:
        return done(job, partial(wait, waiting=waiting))
    return done(job, partial(fetch, waiting=waiting, files=files))


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

    A file that cannot be stored is an error of its id alone; its line still holds the generation.

    Example: luma-async download --directory videos 6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e7f
    """
    from luma_async.cli.summary import Summary
    from luma_async.cli.work import Kept, done, fetch, open_job

    summary = Summary(verbose=output.verbose)
    client = relay.client(waiting.polling, private_media=files.private_media, on_event=summary.note)
    kept = Kept.of(waiting.journal, files)
    again = _again("download", ids, from_, relay, waiting, files, output)
    job = open_job(ids, from_, client, as_json=output.as_json, kept=kept, summary=summary, again=again)
    return done(job, partial(fetch, waiting=waiting, files=files))


@app.command
def submit(  # noqa: PLR0913 - its options, in groups
    *prompts: PromptTexts,
    from_: FromPrompts = None,
    wishes: Wishes = _WISHES,
    relay: Relay = _RELAY,
    afterwards: Afterwards = _AFTERWARDS,
    waiting: Waiting = _WAITING,
    output: Output = _OUTPUT,
) -> Work:
    """Submit prompts, which costs money, and print each task id as soon as the relay gives it.

    No prompt is handed in a second time where the relay may have taken it: that is an error which says so.
    With --download or --journal it waits, too. Started again, it submits again: to go on waiting, give the ids to
    the command wait, with the same journal.

    Example: luma-async submit "a cat dancing" --aspect-ratio 16:9 --download videos
    """
    from luma_async.cli.submitting import Prompts, Submissions, submit
    from luma_async.cli.summary import Summary
    from luma_async.cli.work import Kept

    files, summary = afterwards.files, Summary(verbose=output.verbose)
    kept = Kept.of(waiting.journal, files)
    client = relay.client(waiting.polling, private_media=afterwards.private_media, on_event=summary.note)
    texts = Prompts.of(prompts, from_)
    submissions = Submissions(
        luma=client,
        prompts=texts,
        options=wishes.options,
        at_once=afterwards.at_once,
        again=_again("wait", (), None, relay, waiting, afterwards.storing, output),
    )
    waits = afterwards.wait or files is not None or kept is not None
    return submit(
        submissions, waiting=waiting, files=files, kept=kept, waits=waits, as_json=output.as_json, summary=summary
    )


@app.command
def check(*, as_json: AsJsonRows = False, relay: Relay = _RELAY) -> Work:
    """Check that the address is a relay with Luma and takes the key; whether it knows the batch query; how far it is.

    It costs nothing: it only asks for tasks that nobody has. The status is 0 if address and key are good, else 1.

    Example: luma-async check --base-url https://relay.example --key-file luma.key
    """
    from luma_async.cli.check.command import check

    return check(relay.settings(request_timeout=10.0), as_json=as_json)


@app.command
def gallery(
    *files: Outcomes,
    page: Page = Path("gallery.html"),
    media: Media = None,
    overwrite: Overwrite = False,
) -> Work:
    """Make one HTML page of what a batch made: videos, prompts, failures with their reasons, and times.

    It needs no network but for media that are not stored, and has no script in it.

    Example: luma-async gallery outcomes.jsonl --media videos -o gallery.html
    """
    from luma_async.cli.gallery.files import Order, make

    return make(Order(sources=files, page=page, media=media, overwrite=overwrite))


@app.command
def demo(*, directory: Directory = Path("luma-demo"), as_json: AsJson = False) -> Work:
    """Wait for five generations of a simulated relay and store their videos: no key, no network, under 15 seconds.

    Example: luma-async demo
    """
    from luma_async.cli.demo import play

    return play(directory, as_json=as_json)


@app.command
def simulate(
    *,
    port: Annotated[
        int,
        Parameter(
            metavar="NUMBER", help="TCP port on this machine; 0 takes a free one.", validator=Number(gte=0, lte=65535)
        ),
    ] = 0,
    speed: Annotated[
        float,
        Parameter(
            metavar="NUMBER", help="Relay seconds per real second: 10 is ten times as fast.", validator=Number(gt=0)
        ),
    ] = 1.0,
    count: Annotated[
        int,
        Parameter(
            metavar="NUMBER",
            help="Ready-made tasks; they begin at once, and every fifth fails.",
            validator=Number(gte=0),
        ),
    ] = 5,
) -> Work:
    """Run a simulated relay until Ctrl-C, and print its address, its key and ready-made task ids.

    Example: luma-async simulate --port 8080 --speed 10
    """
    from luma_async.cli.demo import serve

    return serve(port=port, speed=speed, count=count)


@app.command(name="--install-completion")
def install_completion(
    *,
    shell: Annotated[
        Shell | None,
        Parameter(help="Whose completion to install. [default: that of the shell this is run from]"),
    ] = None,
) -> None:
    """Let the shell complete commands and options with the Tab key.

    It writes a script to your home directory, and for bash, zsh and PowerShell a line to the file they start with.

    Example: luma-async --install-completion
    """
    from luma_async.cli.completion import install
    from luma_async.cli.output import write

    write(f"{install(app, shell)}\nIt works in every new shell.\n")
