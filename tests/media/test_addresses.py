"""Where media may come from: links in every spelling, and addresses of every kind."""

from __future__ import annotations

import socket

import pytest
from yarl import URL

from luma_async import DownloadError
from luma_async._media.addresses import Rules, checked_url, guarded_socket, is_global, literal


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4.", "1.2.3.4"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("cdn.example", None),
        ("1.2.3.4.example", None),
        ("256.1.1.1", None),
        ("", None),
    ],
)
def test_a_host_that_spells_an_address_is_known_as_one(host: str, address: str | None) -> None:
    """All forms that a resolver takes without asking anybody."""
    assert literal(host) == address


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("2002:808:808::1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("192.0.0.192", False),
        ("198.18.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound to it
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:db8::1", False),
        ("fc00::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("ff0e::1", False),
        ("3fff::1", False),
        ("64:ff9b:1::808:808", False),
        ("2001::808:808", False),
        ("240.0.0.1", False),
    ],
)
def test_only_addresses_on_the_internet_are_global(address: str, *, public: bool) -> None:
    """Special ranges are not, nor what holds a private address inside."""
    assert is_global(address) is public


def test_a_public_address_gets_its_socket() -> None:
    """The guard stands in nobody else's way."""
    with guarded_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 443))) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)


RELAY = Rules(allow_private=False, relay=URL("https://10.0.0.1:8443"))


@pytest.mark.parametrize("base", [None, URL("https://10.0.0.1:8443/v1/content")])
def test_the_relays_own_origin_is_allowed_as_the_relay_is(base: URL | None) -> None:
    """For its own links, and for redirects from there."""
    assert checked_url("https://10.0.0.1:8443/x?s=%2F", RELAY, base=base).raw_path_qs == "/x?s=%2F"


@pytest.mark.parametrize(
    ("link", "base"),
    [
        ("https://10.0.0.1:8443/x", URL("https://cdn.example/")),
        ("https://10.0.0.1/x", None),
        ("http://10.0.0.1:8443/x", None),
        ("https://10.0.0.2:8443/x", URL("https://10.0.0.1:8443/")),
    ],
)
def test_nothing_else_private_is_allowed_with_it(link: str, base: URL | None) -> None:
    """Other servers cannot redirect there, and another scheme, host or port is another origin."""
    with pytest.raises(DownloadError) as caught:
        checked_url(link, RELAY, base=base)

    assert caught.value.reason == "refused"


@pytest.mark.parametrize(
    ("link", "base", "sent"),
    [
        ("https://bücher.example/a%2Fb?s=%2F日", None, "https://xn--bcher-kva.example/a%2Fb?s=%2F%E6%97%A5"),
        ("/猫?s=%2F|", URL("https://cdn.example/x?y=%2F", encoded=True), "https://cdn.example/%E7%8C%AB?s=%2F%7C"),
        ("d?e=%2B", URL("https://cdn.example/a%2Fb/c", encoded=True), "https://cdn.example/a%2Fb/d?e=%2B"),
        (" https://CDN.example/%7e\n", None, None),
    ],
)
def test_path_and_query_stay_byte_for_byte(link: str, base: URL | None, sent: str | None) -> None:
    """Beside a host that needs IDNA, and in redirects too; a line break is no part of a link."""
    if sent is None:
        with pytest.raises(DownloadError):
            checked_url(link, RELAY, base=base)
    else:
        assert str(checked_url(link, RELAY, base=base)) == sent
