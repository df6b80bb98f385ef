"""Decides which links and addresses media may come from; without requests."""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

from attrs import frozen
from yarl import URL

from luma_async._checks import link_or_none
from luma_async._network.redirects import same_origin
from luma_async.errors import DownloadError
from luma_async.models import Link

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


@frozen(kw_only=True)
class Rules:
    """Where media may come from."""

    allow_private: bool
    """Whether ``http`` and addresses that are not global are allowed."""
    relay: URL | None = None
    """The address of the relay: a link to its own origin may lead where the key may go."""

    def are_own(self, url: URL) -> bool:
        """Whether *url* has the origin of the relay."""
        return self.relay is not None and same_origin(url, self.relay)

    def misses_the_relay(self, url: URL) -> bool:
        """Whether *url* leads to this machine, and the relay is on another one."""
        return self.relay is not None and _leads_here(url) and not _leads_here(self.relay)


WRONG_SERVER_ADDRESS = (
    'the relay\'s own setting "server address" is wrong: tell its operator to set it to the address that users have'
)
"""Advice about a link that leads to the machine of the user."""


def checked_url(link: object, rules: Rules, *, base: URL | None = None) -> URL:
    """Return *link* as a URL, if a request for it is allowed.

    Args:
        link: The link from a relay or a media server.
        rules: What is allowed.
        base: The URL that redirected to *link*, which may be relative to it.

    Raises:
        DownloadError: "refused", before a byte is sent (docs/security.md).
    """
    url = _parsed(link, base)
    if url is None:
        raise DownloadError(
            "the link is not an absolute http(s) URL", reason="refused", url=None if base is None else bare(base)
        )
    if base is not None and (base.scheme, url.scheme) == ("https", "http"):
        raise DownloadError("the link redirects from https to http", reason="refused", url=bare(url))
    if rules.allow_private or (rules.are_own(url) and (base is None or rules.are_own(base))):
        return url
    if base is None and rules.misses_the_relay(url):
        raise DownloadError(
            f"the link leads to this machine ({url.raw_host}), and the relay is on another one",
            reason="refused",
            url=bare(url),
            advice=WRONG_SERVER_ADDRESS,
        )
    if url.scheme != "https":
        raise refused("the link is not https", url)
    address = literal(url.raw_host or "")
    if address is not None and not is_global(address):
        raise refused("the link leads into a private network", url)
    return url


def _leads_here(url: URL) -> bool:
    """Whether *url* leads to loopback, by its name (RFC 6761 section 6.3) or its address in any form."""
    host = (url.raw_host or "").rstrip(".").lower()
    address = literal(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    ip = ipaddress.ip_address(address)
    ip = (_ipv4_inside(ip) if isinstance(ip, ipaddress.IPv6Address) else None) or ip
    return ip.is_loopback or ip.is_unspecified


def host_of(link: object) -> str:
    """Return the host that *link* leads to; an empty text where it leads nowhere."""
    url = None if str(link).startswith("data:") else _parsed(link, None)
    return "" if url is None else url.raw_host or ""


def refused(summary: str, url: URL) -> DownloadError:
    """Return the error for a *url* that ``allow_private_media`` would allow."""
    return DownloadError(
        summary,
        reason="refused",
        url=bare(url),
        advice="Limits(allow_private_media=True) allows http and private addresses",
    )


def bare(url: URL) -> str:
    """Return *url* without what may be secret: its query, fragment and user."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


def _parsed(link: object, base: URL | None) -> URL | None:
    """Return *link* as a URL; None if aiohttp could not request it, or if it contains a user name.

    Path and query are those of *link*, byte for byte: a signature may cover them.
    """
    if not isinstance(link, str) or not link.isprintable():
        return None
    try:
        clean = link_or_none(link if base is None else urljoin(str(base), link))
        url = None if clean is None else _encoded(clean)
        port = url and url.port
    except ValueError:
        return None
    if url is None or not port:
        return None
    host = url.raw_host or ""
    named = _NAME.fullmatch(host) is not None or (literal(host) is not None and "%" not in host)
    return url if named else None


def _encoded(link: Link) -> URL:
    """Return *link* with its host in the form of IDNA, all else unchanged, and without its fragment."""
    scheme, authority = urlsplit(link)[:2]
    _, _, rest = link.partition("#")[0].partition("//")
    host = URL(f"{scheme}://{authority}").raw_authority
    return URL(f"{scheme}://{host}{rest[len(authority) :]}", encoded=True)


def literal(host: str) -> str | None:
    """Return the IP address that *host* is, in any form that resolvers accept (``0x7f.1``); None if it is a name."""
    host = host.rstrip(".")
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    with suppress(OSError, ValueError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return None


_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_GLOBAL = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("3fff::/20"))
"""Addresses for protocols (RFC 6890), where clouds serve their metadata, and for examples (RFC 9637).

Older Pythons call them global.
"""


def is_global(address: str) -> bool:
    """Whether *address* is public; for an IPv4 address inside an IPv6 address, the IPv4 address counts."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _ipv4_inside(ip)
        if inner is None and ip not in _GLOBAL_IPV6:
            return False
        ip = inner or ip
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_GLOBAL)


def _ipv4_inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


class PrivateAddressError(OSError):
    """A name resolved to an address that is not global.

    Its text is always the same: if a name has several addresses, aiohttp raises one of their errors only if all have
    the same text.
    """

    def __init__(self) -> None:
        super().__init__("no public address")


def guarded_socket(address: Any) -> socket.socket:
    """Open a socket for *address* (as from getaddrinfo).

    Raises:
        PrivateAddressError: The address is not global.
    """
    family, kind, protocol, _, where = address
    if not is_global(where[0]):
        raise PrivateAddressError
    return socket.socket(family, kind, protocol)
