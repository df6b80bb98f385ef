"""A31: addresses that a key must not be sent to."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from luma_async import ConfigurationError, Limits, LumaClient
from tests.kit import KEY, TASK_ID
from tests.raw_server import RawServer, task

PASSWORD = "s3cret"
LONG_NAME = ".".join(["a" * 60] * 5)


def refusal(address: Any) -> ConfigurationError:
    """Return the error that a client with *address* is."""
    with pytest.raises(ConfigurationError) as caught:
        LumaClient(address, KEY)
    return caught.value


REFUSED: dict[str, tuple[Any, ...]] = {
    "no relay address": ("",),
    "not an absolute": (
        *("relay.example", "//relay.example", "relay.example:443", "localhost:8000", "ftp://relay.example"),
        *("ws://localhost", "file:///etc/passwd", "javascript://relay.example/%0aalert(1)", "https:relay.example"),
        "https:/relay.example",
    ),
    "host or port": (
        *("https://", "https:///v1", "https://:8443", "https://.", "https://relay.example:", "https://relay.example:x"),
        *("https://relay.example:0", "https://relay.example:-1", "https://relay.example:+443"),
        *("https://relay.example:4_43", "https://relay.example:65536", "https://relay.example:443:443", "https://[::1"),
        *("https://[::1]x", "https://[:::]", "https://[fe80::1%25eth0]", "https://[127.0.0.1]", "https://::1"),
        *("https://a..b", "https://a<b", "https://a%41", "https://%6cocalhost", "https://" + "a" * 64),
        *(f"https://{LONG_NAME}", "https://256.1.1.1", "https://1.2.3", "https://2130706433", "http://127.1"),
        *("http://0x7f.0.0.1", "http://0x7f000001", "http://127.0.0.1."),
    ),
    "query or fragment": (
        *("https://relay.example?x=1", "https://relay.example?", "https://relay.example/#x", "https://relay.example/#"),
        "http://relay.example#@localhost",
    ),
    "path": (
        *("https://relay.example/{a}", 'https://relay.example/"', "https://relay.example/%"),
        "https://relay.example/%zz",
    ),
    "blank": ("https://relay.example /", " https://relay.example"),
    "backslash": ("https://relay.example\\v1", "http://relay.example\\@localhost"),
    "printable": (
        *("https://relay.example\n", "https://relay\t.example", "https://relay.example\r\nX: 1"),
        "\x00https://relay.example",
    ),
    "xn--": ("https://中转.example", "http://①②⑦.0.0.1", "http://ｌocalhost"),
    "ASCII": ("https://relay.example\ud800", b"https://relay.example", 5, ["https://relay.example"]),
    "unencrypted": (
        *("http://relay.example", "HTTP://RELAY.EXAMPLE", "http://127.0.0.1.evil.example"),
        *("http://localhost.evil.example", "http://localhost.", "http://notlocalhost", "http://10.0.0.1"),
        *("http://128.0.0.1", "http://0.0.0.0", "http://[::]", "http://[2001:db8::1]"),
    ),
}
"""What is wrong with an address, and addresses of which that is said."""


@pytest.mark.parametrize(("why", "address"), [(why, address) for why, each in REFUSED.items() for address in each])
def test_a31_an_address_that_cannot_work_is_refused(address: Any, why: str) -> None:
    """When the client is made, in a printable text that says what is wrong and what to do."""
    error = refusal(address)

    assert why in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 400
    assert error.advice
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{PASSWORD}@relay.example",
        f"https://:{PASSWORD}@relay.example",
        f"https://{PASSWORD}@relay.example",
        f"http://{PASSWORD}@relay.example",
        f"http://localhost:{PASSWORD}@relay.example",
        f"https://u:{PASSWORD}@relay.example:x",
        f"ftp://u:{PASSWORD}@relay.example",
        f"https://u:{PASSWORD}@[::1",
        f"u:{PASSWORD}@relay",
        f"https://u:{PASSWORD}@relay.example/?q",
        f"https://u:{PASSWORD}@a b",
        f"https://u:{PASSWORD}@é",
        f"https://u:{PASSWORD}%40@relay.example",
        f"https://u:{PASSWORD}@relay.example:0",
        f"https://relay.example/?api_key={PASSWORD}",
        f"https://relay.example/#{PASSWORD}",
    ],
)
def test_a31_a_password_in_an_address_is_refused_unseen(address: str) -> None:
    """Whatever else is wrong with the address, the password is neither in the error nor below it."""
    error = refusal(address)

    assert PASSWORD not in f"{error!r} {vars(error)} {error.__context__!r}"


@pytest.mark.parametrize(
    "address", ["https://@relay.example", "https://:@relay.example", "http://localhost@evil.example"]
)
def test_a31_a_user_name_is_refused_as_one(address: str) -> None:
    """Even an empty one, and one that looks like this machine."""
    assert "user name" in str(refusal(address))


def test_a31_the_environment_is_checked_like_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """LUMA_BASE_URL is no way around."""
    monkeypatch.setenv("LUMA_BASE_URL", f"http://u:{PASSWORD}@relay.example")

    with pytest.raises(ConfigurationError) as caught:
        LumaClient(api_key=KEY)

    assert "user name" in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("host", ["HTTP://LOCALHOST:{}", "http://LocalHost:{}/", "http://127.0.0.1:0{}/v1/%E4%B8%AD"])
async def test_a31_this_machine_is_asked_however_it_is_written(host: str) -> None:
    """Plain http to loopback is fine without an option, in capitals, with a padded port or an escaped path."""
    done = task(TASK_ID, "completed", video={"url": "https://cdn.example/v.mp4"})

    async with RawServer([done]) as server, LumaClient(host.format(server.port), KEY) as luma:
        generation = await luma.get_generation(TASK_ID)

    assert generation.id == TASK_ID


def test_a31_plain_http_is_an_explicit_choice() -> None:
    """With the option, the same address that was refused is taken; the option is no way to another scheme."""
    limits = Limits(allow_insecure_http=True)

    assert "relay.example" in repr(LumaClient("http://relay.example", KEY, limits=limits))
    with pytest.raises(ConfigurationError, match="not an absolute"):
        LumaClient("ftp://relay.example", KEY, limits=limits)


def test_a31_a_client_that_could_not_be_made_can_be_shown() -> None:
    """A traceback with local variables prints the unmade client too."""
    error = refusal("ftp://relay.example")

    told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())

    assert "<LumaClient unmade>" in told


async def test_a31_an_international_name_that_means_nothing_is_a_typed_error() -> None:
    """A name in xn-- form that no decoder understands is looked up as it is, and not found."""
    limits = Limits(request_timeout=1.0)

    async with LumaClient("https://xn--a.invalid", KEY, limits=limits) as luma:
        (outcome,) = await luma.get_generations([TASK_ID])

    assert "xn--a.invalid:443" in str(outcome.error)
