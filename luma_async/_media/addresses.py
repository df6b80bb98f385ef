"""Where media may come from: links, and the addresses that names lead to; without I/O."""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from typing import Any

from yarl import URL

from luma_async.errors import DownloadError

_URL = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
"""RFC 3986; such a link is sent as it is, since signatures may cover its spelling."""
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


def checked_url(link: object, *, allow_private: bool, base: URL | None = None) -> URL:
    """Return what *link* (of a redirect: relative to *base*) leads to, if it may be asked for.

    Args:
        link: What a relay or a media server has given.
        allow_private: Whether ``http`` and addresses that are not global are fine.
        base: Where the redirect came from.

    Raises:
        DownloadError: "refused", before a byte is sent (docs/security.md).
    """
    url = _parsed(link, base)
    if url is None:
        raise DownloadError(
            "the link is no absolute http(s) URL", reason="refused", url=None if base is None else bare(base)
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


def refused(summary: str, url: URL) -> DownloadError:
    """Return the error for a *url* that an option would allow."""
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
    """Return *link* as a URL, or None where it is none that aiohttp could ask for, or brings a user's name along."""
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
    """Return the address that *host* spells, in any form that a resolver takes for one (``0x7f.1``), or None."""
    host = host.rstrip(".")
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    with suppress(OSError, ValueError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return None


_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_GLOBAL = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("3fff::/20"))
"""Protocols' own addresses (RFC 6890), where a cloud's metadata are served, and those of examples (RFC 9637): older
Pythons take them for global."""


def is_global(address: str) -> bool:
    """Whether anybody on the internet can reach *address*; an IPv4 address inside IPv6 counts as what it is."""
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
    """A name that resolved to an address which is not global.

    Its text is always the same: where a name has several addresses, aiohttp hands on one of their errors only if all
    have the same text.
    """

    def __init__(self) -> None:
        super().__init__("no public address")


def guarded_socket(address: Any) -> socket.socket:
    """Open a socket for *address* (as getaddrinfo gives it) unless it is a private one."""
    family, kind, protocol, _, where = address
    if not is_global(where[0]):
        raise PrivateAddressError
    return socket.socket(family, kind, protocol)
