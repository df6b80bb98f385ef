"""Decides which links and addresses media may come from; without requests."""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from typing import Any

from yarl import URL

from luma_async.errors import DownloadError

_URL = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
"""RFC 3986. Such a link is sent unchanged, since a signature may cover its exact text."""
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


def checked_url(link: object, *, allow_private: bool, base: URL | None = None) -> URL:
    """Return *link* as a URL, if a request for it is allowed.

    Args:
        link: The link from a relay or a media server.
        allow_private: Whether ``http`` and addresses that are not global are allowed.
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
    if allow_private:
        return url
    if url.scheme != "https":
        raise refused("the link is not https", url)
    address = literal(url.raw_host or "")
    if address is not None and not is_global(address):
        raise refused("the link leads into a private network", url)
    return url


def host_of(link: object) -> str:
    """Return the host that *link* leads to; an empty text where it leads nowhere."""
    url = _parsed(link, None)
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
    """Return *link* as a URL; None if aiohttp could not request it, or if it contains a user name."""
    if not isinstance(link, str) or not link.isprintable():
        return None
    try:
        url = URL(link, encoded=_URL.fullmatch(link) is not None)
        url = base.join(url) if base is not None else url
        host, port = url.raw_host or "", url.port
    except ValueError:
        return None
    named = _NAME.fullmatch(host) is not None or (literal(host) is not None and "%" not in host)
    return url if url.scheme in ("https", "http") and port and named and "@" not in url.raw_authority else None


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
