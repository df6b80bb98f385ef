"""The errors of the user's proxy, told apart from those of the server behind it."""

from __future__ import annotations

from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from yarl import URL

from luma_async._text import shown
from luma_async.errors import ConfigurationError, TransportError, Verdict
from luma_async.settings import Secret, check_proxy

_AUTHENTICATION = 407
_PASSING = frozenset({408, 425, 429})
_SERVER_ERRORS = 500
_ADVICE = "check proxy= and the proxy's own rules"


def environment_proxy(url: URL) -> Secret[str] | None:
    """Return the proxy that ``HTTPS_PROXY``, ``HTTP_PROXY`` or ``ALL_PROXY`` names for *url*; None without one.

    ``NO_PROXY`` is respected. Nothing else of the environment is used: no netrc.

    Raises:
        ConfigurationError: It is not an HTTP proxy; going out without it would not be what the variable says.
    """
    found = Secret(getproxies_environment())
    proxy = Secret(found.reveal().get(url.scheme) or found.reveal().get("all", ""))
    if not proxy.reveal() or proxy_bypass(f"{url.raw_host}:{url.port}"):
        return None
    whole = proxy if "://" in proxy.reveal() else Secret(f"http://{proxy.reveal()}")
    return check_proxy(whole, "the environment's proxy")


def is_proxy_ignored(url: URL) -> bool:
    """Return whether the environment names a proxy for *url*, for a client that does not heed it."""
    try:
        return environment_proxy(url) is not None
    except ConfigurationError:  # it names something else than an HTTP proxy
        return True


def address_of(proxy: Secret[str]) -> str:
    """Return host and port of *proxy*, without its user name and password."""
    return "{0.host_subcomponent}:{0.port}".format(URL(proxy.reveal()))


def refused(proxy: Secret[str], status: int, *, has_worked: bool = False) -> TransportError:
    """Return the error for a proxy that answers a request itself.

    It is final if the proxy has never let a request through: its address or password is wrong then.
    """
    is_passing = has_worked or status >= _SERVER_ERRORS or status in _PASSING
    return TransportError(
        f"the proxy {address_of(proxy)} refused the connection: HTTP {status}",
        advice="check the user name and password in proxy=" if status == _AUTHENTICATION else _ADVICE,
        verdict=Verdict.PASSING if is_passing else Verdict.FINAL,
    )


def proxys_own(error: Exception, proxy: Secret[str], *, has_worked: bool = False) -> TransportError | None:
    """Return our error if *error* of aiohttp is about the connection to *proxy*; None if it is about the server."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return refused(proxy, error.status, has_worked=has_worked)
    if isinstance(error, aiohttp.ClientResponseError) and error.request_info.method == "CONNECT":
        return TransportError(
            f"the proxy {address_of(proxy)} did not answer with valid HTTP", advice=_ADVICE, verdict=Verdict.PASSING
        )
    if not _concerns(error, URL(proxy.reveal())):
        return None
    if isinstance(error, aiohttp.ClientSSLError) or not isinstance(error, aiohttp.ClientConnectorError):
        return TransportError(f"no secure connection to the proxy {address_of(proxy)}", advice=_ADVICE)
    reason = shown(getattr(error.os_error, "strerror", None) or type(error.os_error).__name__, 120)
    return TransportError(
        f"no connection to the proxy {address_of(proxy)}: {reason}", advice=_ADVICE, verdict=Verdict.PASSING
    )


def _concerns(error: Exception, proxy: URL) -> bool:
    """Whether *error* is about a connection to *proxy* itself: its errors name the host that was connected to."""
    return (getattr(error, "host", None), getattr(error, "port", None)) == (proxy.raw_host, proxy.port)
