"""Address, key, limits and poll policy of a client, from arguments or the environment, checked on creation."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from attrs import Attribute, field, frozen

from luma_async._checks import checked_headers, flag, link_or_none, number
from luma_async._text import shown
from luma_async.dialect import RELAY, Dialect, dialect_of
from luma_async.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

    from tenacity import RetryCallState

VERSION = "0.1.0"
"""The version of this library, also for the ``User-Agent``; a test compares it with the project file."""
USER_AGENT = f"luma-async/{VERSION}"

Batch = Literal["auto", "never", "always"]
"""Whether a client asks for many ids with one request; ``"auto"`` finds out whether the relay can."""

T_co = TypeVar("T_co", covariant=True)


class Secret(Generic[T_co]):
    """Holds one value that only ``reveal`` returns.

    It is not a str: tracebacks with local variables cut long strings before they call repr. The value is in a closure,
    because crash reporters also show the attributes of objects. Reveal it inside an expression, never into a variable:
    they show those too.
    """

    __slots__ = ("reveal",)

    def __init__(self, value: T_co) -> None:
        self.reveal: Callable[[], T_co] = lambda: value
        """Return the value."""

    def __repr__(self) -> str:
        return "[secret]"

    def __eq__(self, other: object) -> bool:
        return self.reveal() == other.reveal() if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


@frozen(kw_only=True)
class Limits:
    """The limits of one client. Checked on creation: a ConfigurationError names the field."""

    request_timeout: float = field(default=30.0, validator=number(above=0))
    """Seconds for one request, from a free slot to the last byte; relays answer a poll in well under one."""
    max_concurrency: int = field(default=64, validator=number(above=0, whole=True))
    """Requests under way at once, and open connections; more than about 100 slows everything down."""
    requests_per_second: float | None = field(default=None, validator=number(above=0, optional=True))
    """A limit over all ids and redirects; None for no limit. Relays that document one allow 0.5 to 1 (contract, 5)."""
    batch_size: int = field(default=100, validator=number(above=0, whole=True))
    """Most ids in one batch query; relays do not document a limit (contract section 2)."""
    max_answer_bytes: int = field(default=2 * 2**20, validator=number(above=0, whole=True))
    """Most bytes of one answer after decompression; the largest real answer has 4 KiB."""
    max_downloads: int = field(default=8, validator=number(above=0, whole=True))
    """Downloads under way at once; slow ones keep at most half of them while others wait."""
    allow_insecure_http: bool = field(default=False, validator=flag)
    """Whether ``base_url`` may be plain ``http`` beyond loopback: then the key is readable on the network."""
    allow_private_media: bool = field(default=False, validator=flag)
    """Whether media may come over ``http`` or from private addresses; the relay's own may where ``base_url`` does."""
    key_for_relay_media: bool = field(default=False, validator=flag)
    """Whether the key goes along to media at the origin of ``base_url`` that answer 401 or 403 without it."""


NO_HEADERS: Secret[Mapping[str, str]] = Secret({})


def hidden(value: object) -> Secret[object] | None:
    """Return *value* as a Secret; None and a Secret as they are."""
    return value if value is None or isinstance(value, Secret) else Secret(value)


_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_LABEL = "[A-Za-z0-9_-]{1,63}"
_HOST_AND_PORT = re.compile(rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
_LONGEST_HOST = 253
"""Characters (RFC 1035, section 2.3.4)."""
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
"""RFC 3986, section 3.3."""


@frozen(kw_only=True)
class Settings:
    """The address of the relay, the key, the limits, and what goes along. No repr shows the key or a header."""

    base_url: str
    """Without a trailing slash; ``/luma/...`` is appended."""
    api_key: Secret[str]
    limits: Limits
    dialect: Dialect = RELAY
    headers: Secret[Mapping[str, str]] = NO_HEADERS
    """Further headers of each request to the relay."""
    media_headers: Secret[Mapping[str, str]] = NO_HEADERS
    """Further headers of each request for media."""
    trust_env: bool = False
    """Whether requests without another proxy go through those that the environment names."""

    @classmethod
    def load(  # noqa: PLR0913 - what a user can set, each by its name
        cls,
        base_url: str | None,
        api_key: str | Secret[object] | None,
        limits: object,
        environ: Mapping[str, str] | None = None,
        *,
        dialect: object = None,
        headers: Secret[object] | None = None,
        media_headers: Secret[object] | None = None,
        trust_env: object = False,
    ) -> Settings:
        """Check the arguments; for None, the variable ``LUMA_BASE_URL`` and so on is used.

        The text of a ConfigurationError names what is missing or unusable, and never holds the key.
        """
        key = hidden(api_key)
        api_key = None  # tracebacks show local variables
        if not isinstance(limits, Limits):
            raise ConfigurationError("limits is not a Limits value", advice="give limits as luma_async.Limits(...)")
        spelling = chosen_dialect(dialect, environ)
        address = base_url if base_url is not None else _from_environment("LUMA_BASE_URL", environ).strip()
        if not (address or spelling.base_url or key or _names_a_key(environ)):
            raise ConfigurationError("there is neither a relay address nor an API key", advice=_BOTH_ADVICE)
        key = key if key is not None else _key_of(environ)
        if not isinstance(trust_env, bool):
            raise ConfigurationError("trust_env is not a bool", advice="give trust_env as True or False")
        return cls(
            base_url=check_base_url(address or spelling.base_url, limits),
            api_key=_check_key(key, "the API key"),
            limits=limits,
            dialect=spelling,
            headers=_check_headers(headers, "headers", spelling.key_header),
            media_headers=_check_media_headers(media_headers),
            trust_env=trust_env,
        )


def chosen_dialect(dialect: object, environ: Mapping[str, str] | None = None) -> Dialect:
    """Return *dialect*, as a Dialect, a name or a file; for None the one of ``LUMA_DIALECT``, or a relay's.

    Raises:
        ConfigurationError: There is no such dialect, or its file is unusable.
    """
    return dialect_of(dialect if dialect is not None else _from_environment("LUMA_DIALECT", environ) or RELAY)


def _from_environment(name: str, environ: Mapping[str, str] | None) -> str:
    """Return a variable's value. Only this function reads the environment: tracebacks show local variables."""
    return (os.environ if environ is None else environ).get(name, "")


_BOTH_ADVICE = "set LUMA_BASE_URL or give base_url=, and set LUMA_API_KEY or LUMA_API_KEY_FILE, or give api_key="


def _names_a_key(environ: Mapping[str, str] | None) -> bool:
    return any(_from_environment(name, environ) for name in ("LUMA_API_KEY", "LUMA_API_KEY_FILE"))


def _key_of(environ: Mapping[str, str] | None) -> Secret[str]:
    if _from_environment("LUMA_API_KEY", environ):
        return Secret(_from_environment("LUMA_API_KEY", environ).rstrip("\r\n"))
    if path := _from_environment("LUMA_API_KEY_FILE", environ):
        return read_key_file(path)
    raise ConfigurationError("there is no API key", advice="set LUMA_API_KEY or LUMA_API_KEY_FILE, or give api_key=")


_MOST_OF_A_KEY_FILE = 8192
_MAY_BE_A_KEY = re.compile(r"(sk|pk|bearer)[\W_].*|[\w+=-]{20,}", re.IGNORECASE | re.DOTALL)
"""Text that looks like a key, and not like the name of a file."""


def read_key_file(path: str | os.PathLike[str]) -> Secret[str]:
    """Return the key in the file at *path*, without its trailing newline, if the file holds one."""
    try:
        with Path(path).open("rb") as file:
            key = Secret(file.read(_MOST_OF_A_KEY_FILE).decode("latin-1").rstrip("\r\n"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is not a file name"
        is_shown = _MAY_BE_A_KEY.fullmatch(str(path)) is None
        raise ConfigurationError(
            f"the key file{f' {shown(path)}' if is_shown else ''} cannot be read: {reason}",
            advice="check the path and its permissions" if is_shown else "give the name of a file, not the key itself",
        ) from None
    return _check_key(key, f"the API key in {shown(path)}")


def _check_key(key: Secret[Any], what: str) -> Secret[str]:
    if isinstance(key.reveal(), str) and _KEY.fullmatch(key.reveal()):
        return key
    raise ConfigurationError(
        f"{what} is unusable",
        advice="a key is 1 to 4,096 visible ASCII characters, without blanks or line breaks: copy it again",
    )


def _check_headers(
    headers: Secret[object] | None, name: str, key_header: str = "Authorization"
) -> Secret[Mapping[str, str]]:
    return Secret({} if headers is None else checked_headers(headers.reveal(), name, also_refused=key_header))


_OF_DOWNLOADS = frozenset({"accept-encoding", "range", "if-range"})
"""Headers with which a download asks for the bytes that it lacks."""


def _check_media_headers(headers: Secret[object] | None) -> Secret[Mapping[str, str]]:
    checked = _check_headers(headers, "media_headers")
    for header in checked.reveal():
        if header.lower() in _OF_DOWNLOADS:
            raise ConfigurationError(f"media_headers: {header} cannot be set", advice="leave it out: downloads set it")
    return checked


def check_base_url(address: object, limits: Limits) -> str:
    """Return *address* without its trailing slash, if a key may be sent there; the error never holds a password."""
    if not address:
        raise ConfigurationError("there is no relay address", advice="set LUMA_BASE_URL or give base_url=")
    parts = _split(address)
    if parts.username is not None or parts.password is not None:
        raise _unusable("holds a user name or password", "give the key as api_key=")
    if "?" in str(address) or "#" in str(address):
        raise _unusable("has a query or fragment", "give only scheme, host, port and path")
    if not _PATH.fullmatch(parts.path):
        raise _unusable("has a path with characters that a URL cannot have", "write it like https://relay.example/v1")
    if parts.scheme == "http" and not (limits.allow_insecure_http or is_loopback(parts.hostname or "")):
        raise _unusable(
            f"({shown(address, 200)}) would send the key unencrypted",
            "use https, or Limits(allow_insecure_http=True) if you mean it",
        )
    return str(address).rstrip("/")


def _split(address: object) -> SplitResult:
    if not isinstance(address, str) or not address.isascii() or not address.isprintable():
        raise _unusable("is not printable ASCII text", "write an international host in its xn-- form")
    if " " in address or "\\" in address:
        raise _unusable("holds a blank or a backslash", "write it like https://relay.example")
    if not address.lower().startswith(("http://", "https://")):
        raise _unusable("is not an absolute http(s) URL", "write it like https://relay.example")
    parts = _web_address(address)
    if parts is None:
        raise _unusable("has an unusable host or port", "write it like https://relay.example:8443")
    return parts


def _web_address(address: str) -> SplitResult | None:
    """Return the parts of an http(s) URL with a usable host and port, otherwise None."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    is_valid = parts.scheme in ("http", "https") and _HOST_AND_PORT.fullmatch(parts.netloc.rpartition("@")[2])
    return parts if is_valid and port != 0 and _is_usable_host(parts.hostname or "") else None


def _is_usable_host(host: str) -> bool:
    """Whether *host* is a name that is not too long, or a complete address; ``127.1`` is one for resolvers only."""
    if ":" not in host and _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return False
    return len(host) <= _LONGEST_HOST


def _unusable(what: str, advice: str) -> ConfigurationError:
    return ConfigurationError(f"base_url {what}", advice=advice)


def check_proxy(proxy: Secret[Any] | None, name: str = "proxy") -> Secret[str] | None:
    """Return *proxy* if it is None or the URL of an HTTP proxy; the error never holds a password."""
    if proxy is None or (isinstance(proxy.reveal(), str) and _web_address(proxy.reveal()) is not None):
        return proxy
    raise ConfigurationError(
        f"{name} is not the URL of an HTTP proxy", advice="write it like http://proxy.example:3128"
    )


def check_callback_url(url: Secret[Any] | None) -> Secret[str] | None:
    """Return *url* if it is None or an absolute http(s) URL; the error does not hold it: its path may be a secret."""
    if url is None or link_or_none(url.reveal()) is not None:
        return url
    raise ConfigurationError(
        "callback_url is not an absolute http(s) URL", advice="write it like https://app.example/luma/a-secret-path"
    )


def check_ssl_context(context: object) -> ssl.SSLContext | None:
    """Return *context* if it is None or verifies certificates and host names: else any server could get the key."""
    if context is None:
        return None
    import ssl  # noqa: PLC0415 - slow to import, and rarely needed

    if (
        not isinstance(context, ssl.SSLContext)
        or context.verify_mode != ssl.CERT_REQUIRED
        or not context.check_hostname
    ):
        raise ConfigurationError(
            "ssl_context is not an SSLContext that verifies certificates and host names",
            advice="start from ssl.create_default_context() and load your certificate authority into it",
        )
    return context


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine by name or literal address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


_STEEPEST = 100
_USUAL_MIN_INTERVAL = 2.0
"""Seconds: polling one task more often has no benefit at any relay (contract section 5)."""


def _strategy(_: Any, __: Attribute[Any], value: Any) -> None:
    if value is not None and not callable(value):
        raise ConfigurationError(
            "PollPolicy(wait=...) is not a tenacity strategy", advice="give one, such as wait_fixed(5)"
        )


@frozen(kw_only=True)
class PollPolicy:
    """How often to poll, and when to give up on a relay in trouble. Checked on creation.

    Raises:
        ConfigurationError: A field is out of range, or not ``0 < min_interval <= initial_interval <= max_interval``.
    """

    initial_interval: float = field(default=2.0, validator=number(above=0))
    """Seconds before the second poll: relays have no new answer earlier (contract section 5)."""
    max_interval: float = field(default=15.0, validator=number(above=0))
    """Most seconds between two polls: gateways themselves poll their upstream about every 15 seconds."""
    multiplier: float = field(default=1.5, validator=number(above=0))
    """The factor from one pause to the next, 1 to 100; 1.5 goes from 2 to 15 seconds in five steps."""
    min_interval: float | None = field(default=None, validator=number(above=0, optional=True))
    """Fewest seconds between two polls, for any strategy, deadline or new waiter.

    None means 2 seconds, or ``initial_interval`` if that is shorter.
    """
    max_consecutive_failures: int = field(default=10, validator=number(above=0, whole=True))
    """Failed polls in a row before a wait gives up; all of ``max_outage`` must have passed too."""
    max_outage: float = field(default=120.0, validator=number(above=0))
    """Seconds of unbroken trouble before a wait gives up; a gateway's restart takes less."""
    adaptive: bool = field(default=True, validator=flag)
    """Whether pauses follow the durations of the client's own tasks, once enough are known; if not, they just grow."""
    wait: Callable[[RetryCallState], float | Awaitable[float]] | None = field(default=None, validator=_strategy)
    """Any tenacity strategy instead of ours, sync or async; ``min_interval`` and ``Retry-After`` are still respected.

    It is called as tenacity calls it. ``retry_state.outcome`` holds the last poll: a running task as its result, a
    failed poll as its exception. ``wait_exception`` needs an exception, so it is called after failed polls only. An
    exception of the strategy ends the wait for that id only, and the wait raises it.
    """

    def __attrs_post_init__(self) -> None:
        if not self.shortest_interval <= self.initial_interval <= self.max_interval:
            raise ConfigurationError(
                f"PollPolicy(min_interval={self.shortest_interval:g}, initial_interval={self.initial_interval:g},"
                f" max_interval={self.max_interval:g}) is out of order",
                advice="it has to be min_interval <= initial_interval <= max_interval",
            )
        if not 1 <= self.multiplier <= _STEEPEST:
            raise ConfigurationError(
                f"PollPolicy(multiplier={self.multiplier:g}) is out of range", advice=f"give 1 to {_STEEPEST}"
            )

    @property
    def shortest_interval(self) -> float:
        """Fewest seconds between two polls: ``min_interval``, or its default value."""
        return min(_USUAL_MIN_INTERVAL, self.initial_interval) if self.min_interval is None else self.min_interval
