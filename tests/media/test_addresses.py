"""Where media may come from: links in every spelling, and addresses of every kind."""

from __future__ import annotations

import socket

import pytest

from luma_async._media.addresses import guarded_socket, is_global, literal


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
