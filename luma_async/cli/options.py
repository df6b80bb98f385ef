"""The options that commands share, as attrs values: the docstring of a field is its help, where one line is enough."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_type_hints

from attrs import asdict, fields, frozen
from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number

from luma_async._text import shown
from luma_async.cli.durations import seconds_of
from luma_async.dialect import Dialect
from luma_async.errors import ConfigurationError
from luma_async.models import Role
from luma_async.options import GenerationOptions
from luma_async.settings import Batch, Limits, PollPolicy, Secret, Settings, check_proxy, chosen_dialect, read_key_file

if TYPE_CHECKING:
    import ssl

    from luma_async._network.session import Network
    from luma_async.client import LumaClient
    from luma_async.events import Event

_IDS = Group("Task ids", sort_key=1)
_ANSWER = Group("Captured answer", sort_key=1)
_PROMPTS = Group("Prompts", sort_key=1)
_GENERATION = Group("Generation", sort_key=1.5)
_RELAY = Group("Relay", sort_key=2)
_WAITING = Group("Waiting", sort_key=3)
_FILES = Group("Files", sort_key=4)
_OUTPUT = Group("Output", sort_key=5)
_GALLERY = Group("Gallery", sort_key=6)

_POLLING, _LIMITS = PollPolicy(), Limits()

_Flag = Annotated[bool, Parameter(negative="", show_default=False)]
_URL = Annotated[str | None, Parameter(metavar="URL")]
_Number = Annotated[int, Parameter(metavar="NUMBER")]
_DialectName = Literal["relay", "luma", "luma-agents"]
"""Shells complete these."""
_Headers = Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE", negative="", show_default=False)]


def _seconds(_: Any, tokens: Sequence[Token]) -> float:
    return seconds_of(tokens[0].value)


def _seconds_or_none(_: Any, tokens: Sequence[Token]) -> float | None:
    text = tokens[0].value
    return None if text.lower() == "none" else seconds_of(text)


_Seconds = Annotated[float, Parameter(metavar="DURATION", converter=_seconds)]
_SecondsOrNone = Annotated[float | None, Parameter(metavar="DURATION", converter=_seconds_or_none)]

TaskIds = Annotated[
    str,
    Parameter(
        name="ID", group=_IDS, help="Task ids. Without any, and without --from, they are read from standard input."
    ),
]
"""Each argument of a command."""

FromFile = Annotated[
    Path | None,
    Parameter(
        name="--from",
        group=_IDS,
        metavar="FILE",
        allow_leading_hyphen=True,
        help="Also read ids from this file, one a line; - is standard input. "
        "Blank lines and comments (#) are skipped; of a JSON line, such as one of ours, the task_id is taken. "
        "An id that appears twice is taken once.",
    ),
]

PromptTexts = Annotated[
    str,
    Parameter(
        name="PROMPT",
        group=_PROMPTS,
        help="What each video shows. Without any, and without --from, prompts are read from standard input.",
    ),
]

FromPrompts = Annotated[
    FromFile,
    Parameter(
        group=_PROMPTS,
        help="Also read prompts from this file, one a line; - is standard input. "
        "Blank lines and lines that start with # are skipped; a prompt that appears twice is submitted twice. "
        "A .csv or .jsonl file has a row for each video, with prompt, name and the options of a generation.",
    ),
]

MostListed = Annotated[
    int,
    Parameter(
        name="--limit",
        metavar="N",
        group=_OUTPUT,
        validator=Number(gte=1, lte=10_000),
        help="At most this many generations.",
    ),
]

Timeout = Annotated[_SecondsOrNone, Parameter(group=_WAITING, help='Wait this long for each id; "none" is forever.')]
StoreObject = Annotated[
    str | None,
    Parameter(
        name="--store",
        metavar="STORE",
        group=_OUTPUT,
        help="Record each id that has ended in this OutcomeStore, such as a table, given as module:object, and skip "
        "the ids that it has, as --journal does with a file. [default: none]",
    ),
]
Database = Annotated[
    str | None,
    Parameter(
        metavar="URL",
        help="PostgreSQL's address, without a password, because any user could read it in the list of processes. "
        "[default: $LUMA_DATABASE_URL, or libpq's variables, such as PGHOST and PGPASSWORD]",
    ),
]
FleetObject = Annotated[str, Parameter(name="APP", help="The Fleet, as module:object, such as app:fleet.")]
FleetTask = Annotated[Literal["status", "install"], Parameter(name="TASK", help="What to do.")]

Outcomes = Annotated[
    Path,
    Parameter(
        name="FILE",
        group=_GALLERY,
        allow_leading_hyphen=True,
        help="Outcomes, as standard output and journals have them; - is standard input, which is read if there is no "
        "file. Of several lines about one id, the latest final one counts.",
    ),
]
"""Each argument of ``gallery``."""

AsJson = Annotated[
    _Flag,
    Parameter(
        name="--json",
        group=_OUTPUT,
        help="Write one JSON line for each outcome on a terminal too, as in a pipe. [default: only in a pipe]",
    ),
]

AsJsonRows = Annotated[
    AsJson,
    Parameter(help="Write one JSON line for each row on a terminal too, as in a pipe. [default: only in a pipe]"),
]


Explained = Annotated[
    Path | None,
    Parameter(
        name="--explain",
        group=_ANSWER,
        metavar="FILE",
        allow_leading_hyphen=True,
        help="Ask nothing, and show what is read from this captured answer: its body, what curl -i printed, or JSON "
        "with status, headers and body; - is standard input. It needs neither address nor key.",
    ),
]

ExplainedId = Annotated[
    str | None,
    Parameter(
        name="--id", group=_ANSWER, metavar="ID", help="With --explain: the task that was polled. [default: any in it]"
    ),
]


@Parameter(name="*", group=_OUTPUT)
@frozen(kw_only=True)
class Lines:
    """How results look."""

    as_json: AsJson = False
    brief: Annotated[
        _Flag, Parameter(help="Write JSON lines without the relay's answers. [default: with them, in generation]")
    ] = False
    quiet: Annotated[
        _Flag,
        Parameter(
            name=["--quiet", "-q"],
            help="Print only the paths of stored files; where none are stored, the ids of completed generations, and "
            "of a submit that does not wait the new ids. Standard error has errors only. [default: all results]",
        ),
    ] = False
    no_progress: Annotated[
        _Flag,
        Parameter(
            help="Show no progress on standard error. [default: a live table on a terminal, else a line each minute]"
        ),
    ] = False


@Parameter(name="*", group=_OUTPUT)
@frozen(kw_only=True)
class Output(Lines):
    """What a command that waits writes."""

    verbose: Annotated[
        _Flag,
        Parameter(
            name=["--verbose", "-v"],
            help="Write each change of state, failed poll and cool-down to standard error as it happens, with the "
            "relay's request id, and the summary in a pipe too. [default: only the summary, on a terminal]",
        ),
    ] = False
    bell: Annotated[_Flag, Parameter(help="Ring the terminal's bell at the end. [default: silence]")] = False


@Parameter(name="*", group=_FILES)
@frozen(kw_only=True)
class Media:
    """How media are fetched; one of the groups that store files is asked for it."""

    private_media: Annotated[
        _Flag,
        Parameter(
            help="Allow media over http:// and from private addresses; the relay's own may be so anyway. "
            "[default: refused]"
        ),
    ] = False
    media_header: Annotated[
        _Headers,
        Parameter(
            help="A header of each request for media, such as User-Agent=Mozilla/5.0; can be given several times."
        ),
    ] = ()
    key_for_relay_media: Annotated[
        _Flag,
        Parameter(
            help="Send the key along for media at the relay's own address that are refused without it. "
            "[default: an error]"
        ),
    ] = False
    max_downloads: _Number = _LIMITS.max_downloads
    """Files to fetch at once."""
    role: Annotated[
        tuple[Role, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Which of a generation's media; can be given several times. [default: video]",
        ),
    ] = ()
    name: Annotated[
        str | None,
        Parameter(
            metavar="TEMPLATE",
            help='How files are named, such as "{prompt:.40}-{id}": text and the fields id, prompt, state, role and '
            "created_at; {prompt:.40} takes 40 characters. {id} has to be in it. [default: {id}.{role}]",
        ),
    ] = None
    overwrite: _Flag = False
    """Replace existing files. [default: they are kept, and count as stored]"""
    exec_: Annotated[
        str | None,
        Parameter(
            name="--exec",
            metavar="COMMAND",
            help="Run this command for each file that was stored, with its absolute path in the place of {}, or at the "
            "end. It is no shell; two run at once. One that fails makes the status 1. [default: none]",
        ),
    ] = None

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that are asked for, each once."""
        return tuple(dict.fromkeys(self.role)) or ("video",)

    def files_in(self, directory: Path | None) -> Files | None:
        """Return these options for files in *directory*; None without one.

        Raises:
            ConfigurationError: There is none, and an option needs one.
        """
        given = {each.name: getattr(self, each.name) for each in fields(Media)}
        if directory is not None:
            return Files(directory=directory, **given)
        for name in ("role", "name", "overwrite", "exec_"):
            if given[name]:
                option = f"--{name.rstrip('_')}"
                raise ConfigurationError(f"{option} is only for files", advice="give --download DIR too")
        return None


def _headers(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """Return the headers of an *option*; the error never shows a value."""
    pairs = [each.partition("=") for each in given]
    if not all(sign for _, sign, _ in pairs):
        raise ConfigurationError(f"{option} is not NAME=VALUE", advice=f'give it like {option} "X-Team=films"')
    return {name: value for name, _, value in pairs}


def _no_password(proxy: str | None) -> Secret[str] | None:
    """Return the URL of a proxy, unless it has a user name or password; the error never shows it."""
    if proxy is not None and "@" in proxy:
        raise ConfigurationError(
            "--proxy has a user name or password, which any user can read in the list of processes",
            advice="set LUMA_PROXY to that URL instead",
        )
    return None if proxy is None else Secret(proxy)


def _proxy_of_environment() -> Secret[str] | None:
    return Secret(os.environ["LUMA_PROXY"]) if os.environ.get("LUMA_PROXY") else None


def trusting(path: Path) -> ssl.SSLContext:
    """Return a context that trusts the system's certificate authorities, and those in the PEM file at *path*.

    Raises:
        ConfigurationError: The file cannot be read, or holds no certificates.
    """
    import ssl  # noqa: PLC0415 - slow to import, and rarely needed

    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        reason = "it holds no certificates in PEM (BEGIN CERTIFICATE)"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that is not a file name"
    else:
        return context
    raise ConfigurationError(f"--ca-file {shown(path)} cannot be used: {reason}", advice="ask your administrator")


@Parameter(name="*", group=_RELAY)
@frozen(kw_only=True)
class Relay:
    """The relay, its key, and the limits of requests."""

    base_url: _URL = None
    """The relay's address, which may carry a path. [default: $LUMA_BASE_URL]"""
    key_file: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            help="File that holds the API key; the key itself is not an option, because any user could read it in the "
            "list of processes. [default: $LUMA_API_KEY, or the file $LUMA_API_KEY_FILE]",
        ),
    ] = None
    insecure_http: Annotated[
        _Flag,
        Parameter(
            help="Allow an http:// address beyond this machine: the key then crosses the network unencrypted. "
            "[default: refused]"
        ),
    ] = False
    requests_per_second: Annotated[float | None, Parameter(metavar="NUMBER")] = None
    """Most requests per second, over all ids. [default: no limit]"""
    request_timeout: Annotated[float | None, Parameter(metavar="DURATION", converter=_seconds)] = None
    """Longest time for one request. [default: 30 seconds; 10 in check]"""
    batch: Batch = "auto"
    """Whether ids that are due together share one request: auto asks the relay whether it has that."""
    header: _Headers = ()
    """A further header of each request to the relay; can be given several times."""
    dialect: Annotated[
        _DialectName | str | None,
        Parameter(
            metavar="NAME|FILE",
            show_choices=False,
            help="How this API spells its requests and answers: relay, luma (Luma's own API), luma-agents, or a .toml "
            "file of your own. [default: $LUMA_DIALECT, or relay]",
        ),
    ] = None
    proxy: Annotated[
        str | None,
        Parameter(
            metavar="URL",
            help="HTTP proxy for polls and media. A user name and password in it come from LUMA_PROXY only, because "
            "any user could read them in the list of processes. [default: $LUMA_PROXY, or none]",
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            help="Certificates in PEM of authorities to trust, besides those of the system: a company's own, for "
            "example. [default: none]",
        ),
    ] = None
    trust_env: _Flag = False
    """Use the proxies that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name. [default: they are ignored]"""

    def client(
        self,
        polling: PollPolicy = _POLLING,
        *,
        media: Media | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> LumaClient:
        """Make the client; raises a ConfigurationError for an option, or its environment variable."""
        from luma_async.client import LumaClient  # noqa: PLC0415 - --help needs no aiohttp

        of_media, proxy = media or Media(), self.hidden_proxy()
        return LumaClient(
            self.base_url,
            self._key(),
            polling=polling,
            limits=self._limits(
                allow_private_media=of_media.private_media,
                key_for_relay_media=of_media.key_for_relay_media,
                max_downloads=of_media.max_downloads,
            ),
            batch=self.batch,
            dialect=self.dialect,
            proxy=None if proxy is None else proxy.reveal(),
            ssl_context=self._ssl_context(),
            trust_env=self.trust_env,
            headers=_headers("--header", self.header),
            media_headers=_headers("--media-header", of_media.media_header),
            on_event=on_event,
        )

    def network(self) -> Network:
        """Return the way out that the options name; raises as ``client``."""
        from luma_async._network.session import Network  # noqa: PLC0415 - --help needs no aiohttp

        return Network(proxy=self.hidden_proxy(), ssl_context=self._ssl_context())

    def hidden_proxy(self) -> Secret[str] | None:
        """Return the proxy of --proxy, else of ``LUMA_PROXY``; raises as ``client``, without a password."""
        return check_proxy(_no_password(self.proxy), "--proxy") or check_proxy(_proxy_of_environment(), "LUMA_PROXY")

    def _ssl_context(self) -> ssl.SSLContext | None:
        return None if self.ca_file is None else trusting(self.ca_file)

    def settings(self, *, request_timeout: float) -> Settings:
        """Return address, key and limits, with *request_timeout* seconds if none are given; raises as ``client``."""
        return Settings.load(
            self.base_url,
            self._key(),
            self._limits(request_timeout=request_timeout),
            dialect=self.dialect,
            headers=Secret(_headers("--header", self.header)),
            trust_env=self.trust_env,
        )

    @property
    def spelling(self) -> Dialect:
        """The dialect, without an address or a key; raises a ConfigurationError for an unusable one."""
        return chosen_dialect(self.dialect)

    def _limits(self, **more: Any) -> Limits:
        if self.request_timeout is not None:
            more["request_timeout"] = self.request_timeout
        return Limits(allow_insecure_http=self.insecure_http, requests_per_second=self.requests_per_second, **more)

    def _key(self) -> str | None:
        return None if self.key_file is None else read_key_file(self.key_file).reveal()


@Parameter(name="*", group=_WAITING)
@frozen(kw_only=True)
class Waiting:
    """How long to wait, how often to poll, and which ids are done already."""

    timeout: _SecondsOrNone = 1800.0
    """Wait this long for each id, from its start; "none" waits forever."""
    max_in_flight: _Number = 1000
    """Ids to wait for at once; more are read as these end."""
    initial_interval: _Seconds = _POLLING.initial_interval
    """Pause before an id's second poll; pauses grow from there."""
    max_interval: _Seconds = _POLLING.max_interval
    """Longest pause between two polls of an id."""
    min_interval: _SecondsOrNone = None
    """Shortest pause between two polls of an id. [default: 2, or --initial-interval where that is shorter]"""
    journal: Annotated[
        Path | None,
        Parameter(
            group=_OUTPUT,
            metavar="FILE",
            help="Record each id that has ended in this file, and skip the ids that are in it: "
            "the same command, started again, waits for the rest. [default: none]",
        ),
    ] = None

    @property
    def polling(self) -> PollPolicy:
        """The poll policy; raises a ConfigurationError for a pause."""
        return PollPolicy(
            initial_interval=self.initial_interval, max_interval=self.max_interval, min_interval=self.min_interval
        )


Directory = Annotated[
    Path,
    Parameter(
        name=["--directory", "-o"], group=_FILES, metavar="DIR", help="Directory for the files; made if it is missing."
    ),
]


@Parameter(name="*", group=_FILES)
@frozen(kw_only=True)
class Files(Media):
    """Which media go where."""

    directory: Directory = Path()

    @property
    def files(self) -> Self:
        """As of ``Storing``."""
        return self


@Parameter(name="*", group=_FILES)
@frozen(kw_only=True)
class Storing(Media):
    """Whether ``wait`` also stores media."""

    download: Annotated[
        Path | None,
        Parameter(
            metavar="DIR",
            help="Also store each video in this directory as soon as its generation has completed; made if it is "
            "missing. [default: nothing is stored]",
        ),
    ] = None

    @property
    def files(self) -> Files | None:
        """Which media go where, or None."""
        return self.files_in(self.download)


@Parameter(name="*", group=_FILES)
@frozen(kw_only=True)
class SubmitFlags(Media):
    """How many submits run at once, and whether to wait for their generations."""

    at_once: Annotated[_Number, Parameter(group=_PROMPTS, validator=Number(gte=1))] = 4
    """Submits at once."""
    receipts: Annotated[
        Path | None,
        Parameter(
            group=_PROMPTS,
            metavar="FILE",
            help="Record each submit in this file, before it is sent and after its answer: the same command, started "
            "again, pays for nothing twice. [default: none]",
        ),
    ] = None
    repeat_open: Annotated[_Flag, Parameter(group=_PROMPTS)] = False
    """Submit again what the relay may have taken, as --receipts tells. [default: an error]"""
    retry_failed: Annotated[_Number, Parameter(group=_WAITING, validator=Number(gte=0))] = 0
    """Submit a failed generation again, at most so often, unless its prompt or picture was refused."""
    wait: Annotated[_Flag, Parameter(group=_WAITING)] = False
    """Wait for the generations, as the command wait does. [default: print the ids and end]"""
    download: Annotated[Path | None, Parameter(metavar="DIR")] = None
    """Wait, and store each video in this directory; made if it is missing. [default: nothing is stored]"""

    def check(self, *, waits: bool) -> None:
        """Raise a ConfigurationError for an option that works only with another one."""
        if self.repeat_open and self.receipts is None:
            raise ConfigurationError("--repeat-open needs --receipts", advice="it is about what they tell")
        if self.retry_failed and not (waits and self.receipts is not None):
            raise ConfigurationError(
                "--retry-failed needs --receipts, and --wait, --download or --journal",
                advice="only a wait sees a failure, and only receipts count the attempts of another run",
            )

    @property
    def storing(self) -> Storing:
        """The options that the command wait has too."""
        return Storing(download=self.download, **{each.name: getattr(self, each.name) for each in fields(Media)})


@Parameter(name="*", group=_GENERATION)
@frozen(kw_only=True)
class GenerationFlags:
    """The options of all new generations."""

    aspect_ratio: Annotated[str | None, Parameter(metavar="RATIO")] = None
    """Width to height, such as 16:9. [default: the relay's]"""
    model_name: Annotated[str | None, Parameter(metavar="NAME")] = None
    """Model, such as ray-v2. [default: the relay's]"""
    duration: Annotated[str | None, Parameter(metavar="SECONDS")] = None
    """Length with its unit, such as 5s. [default: the relay's]"""
    resolution: Annotated[str | None, Parameter(metavar="LINES")] = None
    """Such as 720p. [default: the relay's]"""
    image_url: _URL = None
    """First frame. [default: the relay's]"""
    image_end_url: _URL = None
    """Last frame. [default: the relay's]"""
    notify_hook: _URL = None
    """URL that the relay calls at the end. [default: the relay's]"""
    loop: _Flag = False
    """Let the end lead into the start."""
    expand_prompt: _Flag = False
    """Let the relay embellish the prompts."""

    @property
    def options(self) -> GenerationOptions:
        """The library's options; raises a ConfigurationError for one that cannot work."""
        return GenerationOptions(**{name: value or None for name, value in asdict(self).items()})


@Parameter(name="*", group=_GALLERY)
@frozen(kw_only=True)
class Gallery:
    """Where the page of a gallery goes, and what is on it."""

    page: Annotated[Path, Parameter(name=["--output", "-o"], metavar="FILE")] = Path("gallery.html")
    """The page to write."""
    media: Annotated[
        Path | None,
        Parameter(
            metavar="DIR",
            help="Show the files that download stored in this directory instead of the relay's links, which expire. "
            "[default: links]",
        ),
    ] = None
    overwrite: _Flag = False
    """Replace an existing page. [default: refused]"""


Flavour = Literal["contract", "luma-api", "new-api", "new-api-2026", "express", "litellm", "web-proxy"]
"""As the simulated relay has it, which is slow to import."""
Trouble = Literal["503-limit", "401-blip", "job-limit", "row-cap"]
"""Trouble of a simulated relay that depends on time or load."""


@Parameter(name="*")
@frozen(kw_only=True)
class Simulation:
    """A simulated relay on its own."""

    port: Annotated[_Number, Parameter(validator=Number(gte=0, lte=65535))] = 0
    """TCP port on this machine; 0 takes a free one."""
    speed: Annotated[float, Parameter(metavar="NUMBER", validator=Number(gt=0))] = 1.0
    """Relay seconds per real second: 10 is ten times as fast."""
    count: Annotated[_Number, Parameter(validator=Number(gte=0))] = 5
    """Ready-made tasks; they start at once, and every fifth fails."""
    spread: Annotated[float, Parameter(metavar="NUMBER", validator=Number(gte=0, lte=1))] = 0.0
    """How much durations vary, 0 to 1: with 0.5 from half to one and a half times as long."""
    flavour: Flavour = "contract"
    """The gateway that it speaks like: paths, refusals, the form of answers."""
    envelope: _Flag = False
    """Wrap answers in an envelope; some flavours always do."""
    trouble: Annotated[tuple[Trouble, ...], Parameter(negative="", show_default=False)] = ()
    """What goes wrong: more than one request a second, five seconds of 401, a sixth submit, a fourth row of a batch."""


def _without_value(text: str) -> str:
    """Return *text*, of a header its name only: its value may be secret, and this goes to standard error."""
    name, sign, _ = text.partition("=")
    return f"{name}=..." if sign else text


_LEFT_OUT = frozenset({"image_url", "image_end_url", "notify_hook"})


def words_of(*groups: Any) -> tuple[str, ...]:
    """Return the words of a command line for the options in *groups* that are not at their defaults.

    The values of headers are left out, and those of pictures and hooks: they may be secret, or have megabytes.
    """
    words: list[str] = []
    for group in groups:
        hints = get_type_hints(type(group), include_extras=True)
        for each in fields(type(group)):
            value = getattr(group, each.name)
            if value == each.default:
                continue
            names = [parameter.name for parameter in getattr(hints[each.name], "__metadata__", ()) if parameter.name]
            name = names[0][0] if names else f"--{each.name.replace('_', '-')}"
            if each.name in _LEFT_OUT:
                words += [name, "..."]
            elif isinstance(value, tuple):
                words += [word for each_value in value for word in (name, _without_value(each_value))]
            elif value is True:
                words.append(name)
            else:
                words += [name, "none" if value is None else str(value)]
    return tuple(words)
