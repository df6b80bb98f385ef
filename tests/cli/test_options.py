"""Options that become the arguments of a client."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import luma_async
from luma_async import ConfigurationError, Dialect, DownloadError
from luma_async.cli.commands import app
from luma_async.cli.options import Files, Media, Relay, Storing, SubmitFlags, words_of
from luma_async.cli.output import in_option_names
from luma_async.settings import Settings
from tests.cli.conftest import Command
from tests.kit import KEY

HOUSE = Path(luma_async.__file__).parent
AGENT = "Mozilla/5.0 (X11; a=b)"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a key."""
    monkeypatch.setenv("LUMA_API_KEY", KEY)


def settings(relay: Relay, media: Media | None = None) -> Settings:
    """Return what a client of *relay* is made of."""
    return relay.client(media=media)._settings


async def test_headers_are_for_the_relay_or_for_media() -> None:
    """A value may hold further signs of equality; ``check`` sends the relay's headers too."""
    relay = Relay(base_url="https://relay.example", header=("X-Team=films", "X-Empty="), trust_env=True)
    found = settings(relay, Files(media_header=(f"User-Agent={AGENT}",)))

    assert found.headers.reveal() == {"X-Team": "films", "X-Empty": ""}
    assert found.media_headers.reveal() == {"User-Agent": AGENT}
    assert found.trust_env
    assert relay.settings(request_timeout=1.0).headers.reveal() == {"X-Team": "films", "X-Empty": ""}
    assert relay.settings(request_timeout=1.0).trust_env


@pytest.mark.parametrize("command", ["get", "wait", "download", "submit", "check"])
async def test_each_command_that_asks_a_relay_takes_a_dialect(command: str) -> None:
    """By its name or its file, and the client and ``check`` speak it; a resumed command names it again."""
    _, bound, _ = app.parse_args([command, "--base-url", "https://relay.example", "--dialect", "luma"])
    relay: Relay = bound.arguments["relay"]

    assert settings(relay).dialect is Dialect.named("luma")
    assert relay.settings(request_timeout=1.0).dialect is Dialect.named("luma")
    assert words_of(relay)[-2:] == ("--dialect", "luma")


async def test_a_dialect_has_its_own_address() -> None:
    """Luma's API needs a key only."""
    assert settings(Relay(dialect="luma")).base_url == "https://api.lumalabs.ai"


@pytest.mark.parametrize("kind", [Files, Storing, SubmitFlags])
async def test_each_command_that_stores_files_can_send_the_key_to_the_relays_media(kind: type[Media]) -> None:
    """Unasked it does not."""
    relay = Relay(base_url="https://relay.example")

    assert settings(relay, kind(key_for_relay_media=True)).limits.key_for_relay_media
    assert not settings(relay, kind()).limits.key_for_relay_media


def test_a_submit_hands_its_options_for_media_on() -> None:
    """To the wait that stores its videos."""
    flags = SubmitFlags(private_media=True, media_header=("A=b",), key_for_relay_media=True).storing

    assert (flags.private_media, flags.media_header, flags.key_for_relay_media) == (True, ("A=b",), True)


def test_a_wait_and_a_submit_store_files_as_a_download_does() -> None:
    """Each option for files means the same there; without a directory it is refused."""
    given: dict[str, Any] = {"role": ("thumbnail",), "name": "{id}", "overwrite": True, "exec_": "ls"}
    files = Files(directory=Path("v"), **given)

    assert SubmitFlags(download=Path("v"), **given).storing.files == Storing(download=Path("v"), **given).files == files
    assert Storing().files is None
    for name, value in given.items():
        with pytest.raises(ConfigurationError, match=f"--{name.strip('_')} is only for files"):
            _ = Storing(**{name: value}).files


async def test_limits_and_batches_reach_the_client() -> None:
    """A check has its own time for a request, unless one is given."""
    relay = Relay(base_url="https://relay.example", request_timeout=60.0, requests_per_second=2.0)
    limits = settings(relay, Media(max_downloads=3)).limits

    assert (limits.request_timeout, limits.requests_per_second, limits.max_downloads) == (60.0, 2.0, 3)
    assert relay.settings(request_timeout=10.0).limits.request_timeout == 60.0
    assert Relay(base_url="https://relay.example").settings(request_timeout=10.0).limits.request_timeout == 10.0
    with pytest.raises(ConfigurationError) as caught:
        Relay(dialect="luma", batch="always").client()
    assert "--batch always cannot work" in in_option_names(str(caught.value))


@pytest.mark.parametrize("given", ["s3cret", "Cookie=s3cret", "X:s3cret", "=s3cret", "X= s3cret"])
@pytest.mark.parametrize("option", ["header", "media-header"])
async def test_a_header_that_cannot_be_sent_is_refused_by_its_option(option: str, given: str) -> None:
    """Its value is not shown."""
    relay = Relay(base_url="https://relay.example", header=(given,) if option == "header" else ())

    with pytest.raises(ConfigurationError) as caught:
        relay.client(media=Media(media_header=() if option == "header" else (given,)))

    text = in_option_names(str(caught.value))
    assert f"--{option}" in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("advice", "option"),
    [
        ("give Limits(key_for_relay_media=True)", "--key-for-relay-media"),
        ('try media_headers={"User-Agent": "..."}', '--media-header "User-Agent=..."'),
        ("give it more time: Limits(request_timeout=...)", "give it more time: --request-timeout"),
    ],
)
def test_advice_about_media_names_the_option(advice: str, option: str) -> None:
    """And not the library's argument."""
    text = in_option_names(str(DownloadError("no", reason="status", advice=advice)))

    assert option in text
    assert "media_headers" not in text


ARGUMENT = re.compile(r"\b(?:Limits[(.]|(?:proxy|ssl_context|trust_env|api_key|media_headers|overwrite|batch)=)")
"""How the library's own advice names what a user can set."""
UNREACHABLE = {"batch=", "give limits as luma_async.Limits(...)"}
"""Parts of errors that the command line cannot cause."""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--timeout=-5", "--timeout -5.0 is not a number above 0 (give a number above 0)"),
        ("--max-in-flight=0", "--max-in-flight 0 is not a whole number above 0 (give a whole number above 0)"),
        ("--requests-per-second=0", "--requests-per-second 0.0 is not a number above 0 (give a number above 0)"),
        ("--min-interval=0", "--min-interval 0.0 is not a number above 0 (give a number above 0)"),
        ("--initial-interval=20", "--min-interval 2, --initial-interval 20, --max-interval 15 are out of order"),
        ("--base-url=relay", "the relay's address is not an absolute http(s) URL"),
        (
            "--base-url=http://relay.example",
            "the relay's address (http://relay.example) would send the key",
        ),
        ("--aspect-ratio=wide", "--aspect-ratio 'wide' is not text such as '16:9' (give text such as '16:9', or leave"),
        (
            "--image-url=pic.png",
            "--image-url 'pic.png' is not an absolute http(s) URL or a picture as base64 text",
        ),
    ],
)
def test_a_wrong_value_is_named_by_its_option(command: Command, options: str, said: str) -> None:
    """And the advice is about the option, not about an argument of the library; nothing is asked."""
    env = {"LUMA_BASE_URL": "http://127.0.0.1:1", "LUMA_API_KEY": KEY}
    ended = command("submit", "a cat", "--wait", options, env=env)

    assert (ended.status, ended.out) == (2, "")
    assert f"luma-async: {said}" in ended.err
    assert not re.search(r"PollPolicy|Limits|GenerationOptions|None|[a-z]_[a-z]", ended.err)


def test_no_advice_names_an_argument_of_the_library() -> None:
    """Each text of the package that does has an option's name on the command line."""
    texts = [
        node.value
        for path in HOUSE.rglob("*.py")
        if not {"testing", "fleet"} & set(path.parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
    ]

    named = [text for text in texts if ARGUMENT.search(text) and not text.endswith(".")]
    assert len(named) > 10
    assert {text for text in named if ARGUMENT.search(in_option_names(text))} == UNREACHABLE
