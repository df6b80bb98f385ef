"""Media of the relay itself, refusals of media servers, and media inside the answer."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from luma_async import DownloadError, Limits, LumaClient
from luma_async.settings import Secret, Settings
from tests.downloads import BODY, GOOD, ID, MP4, NAME, OPEN, downloading, generation, names, with_link
from tests.kit import KEY
from tests.raw_server import RawServer, Reply, free_port, http

STRICT = Limits(request_timeout=5.0)
KEYED = evolve(STRICT, key_for_relay_media=True)
BEARER = f"Authorization: Bearer {KEY}".encode()
PATH = "/v1/videos/x/content"


def behind_a_key(*answers: Reply, refusal: int = 401) -> Reply:
    """Return a relay's medium that is refused without the key; with it, each of *answers* comes once."""
    left = list(answers)

    async def act(_: Any, writer: Any) -> None:
        head = server_of[0].heads[-1]
        reply = left.pop(0) if BEARER in head else http(refusal, {"error": {"message": "no key"}})
        assert isinstance(reply, bytes)
        writer.write(reply)

    return act


server_of: list[RawServer] = []
"""The server of the running test, whose newest request an act looks at."""


async def own(
    replies: list[Reply], directory: Path, limits: Limits, link: str = PATH
) -> tuple[Path | DownloadError, RawServer]:
    """Download the video at *link* of a relay with *replies*, in a client of that relay."""
    async with RawServer(replies) as server:
        server_of[:] = [server]
        settings = Settings.load(server.base_url, KEY, limits)
        found = generation(link.replace("{port}", str(server.port)) if "//" in link else server.base_url + link)
        async with downloading(found, limits=limits, relay=settings) as downloader:
            try:
                return await downloader.download(found, directory), server
            except DownloadError as error:
                return error, server


async def test_the_relays_own_medium_needs_no_safeguard_switched_off(tmp_path: Path) -> None:
    """Its http and its private address are those that ``base_url`` has; the key stays away."""
    path, server = await own([GOOD], tmp_path, STRICT)

    assert path == tmp_path / NAME
    assert len(server.heads) == 1
    assert b"uthorization" not in server.heads[0]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_medium_behind_the_key_says_which_option_it_needs(tmp_path: Path, status: int) -> None:
    """The key goes nowhere unasked, and the link is not called expired."""
    error, server = await own([behind_a_key(GOOD, refusal=status)], tmp_path, STRICT)

    assert isinstance(error, DownloadError)
    assert (error.reason, error.retryable) == ("needs-key", False)
    assert "key_for_relay_media=True" in error.advice
    assert not any(b"uthorization" in head for head in server.heads)
    assert len(server.heads) == (1 if status == 401 else 2)
    assert names(tmp_path) == []


@pytest.mark.parametrize("status", [401, 403])
async def test_with_the_option_the_key_goes_along_at_the_second_request(tmp_path: Path, status: int) -> None:
    """Only after a refusal, and only there."""
    path, server = await own([behind_a_key(GOOD, refusal=status)], tmp_path, KEYED)

    assert path == tmp_path / NAME
    assert [BEARER in head for head in server.heads] == [False, True]


async def test_a_key_that_is_refused_is_told_as_that(tmp_path: Path) -> None:
    """A fresh link is tried once; the User-Agent is not blamed."""
    error, server = await own([http(403)], tmp_path, KEYED)

    assert isinstance(error, DownloadError)
    assert (error.reason, [BEARER in head for head in server.heads]) == ("status", [False, True] * 2)
    assert "also with the API key" in str(error)
    assert "User-Agent" not in str(error)


@pytest.mark.parametrize(
    "location", ["/v1/elsewhere", "?again", "http://localhost:{port}/there"], ids=["path", "query", "another host"]
)
async def test_a_redirect_drops_the_key(tmp_path: Path, location: str) -> None:
    """Also within the origin, where the rules for the relay's own media go on."""
    limits = evolve(KEYED, allow_private_media=location.startswith("http"))

    async def redirect(_: Any, writer: Any) -> None:
        target = location.replace("{port}", str(server_of[0].port))
        keyed = BEARER in server_of[0].heads[-1]
        writer.write(http(302, b"", f"Location: {target}") if keyed else http(401))

    path, server = await own([redirect, redirect, GOOD], tmp_path, limits)

    assert path == tmp_path / NAME
    assert [BEARER in head for head in server.heads] == [False, True, False]


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:1/v.mp4", "http://10.0.0.1/v.mp4", f"https://media.example/{KEY}/v.mp4"]
)
async def test_a_redirect_of_the_relays_obeys_the_rules_for_media(tmp_path: Path, location: str) -> None:
    """Another port of the same machine is another origin, and a place that would be told the key is none."""
    error, server = await own([http(401), http(302, b"", f"Location: {location}")], tmp_path, KEYED)

    assert isinstance(error, DownloadError)
    assert (error.reason, len(server.heads)) == ("refused", 2)
    assert KEY not in f"{error!s} {error.url}"


async def test_a_refusal_behind_a_redirect_is_not_the_links_own(tmp_path: Path) -> None:
    """The key would be lost at the redirect again, so it is not sent."""

    async def turned_away(_: Any, writer: Any) -> None:
        is_link = b"/content" in server_of[0].heads[-1]
        writer.write(http(302, b"", "Location: /elsewhere") if is_link else http(401))

    error, server = await own([turned_away], tmp_path, KEYED)

    assert isinstance(error, DownloadError)
    assert (error.reason, len(server.heads)) == ("status", 4)
    assert not any(b"uthorization" in head for head in server.heads)


@pytest.mark.parametrize("status", [401, 403])
async def test_another_origin_never_gets_the_key(tmp_path: Path, status: int) -> None:
    """The same host by another name is another origin; its refusal may be about the User-Agent."""
    limits = evolve(KEYED, allow_private_media=True)
    error, server = await own([http(status)], tmp_path, limits, "http://localhost:{port}/v.mp4")

    assert isinstance(error, DownloadError)
    assert (error.reason, len(server.heads)) == ("status", 2)
    assert 'media_headers={"User-Agent": ' in error.advice
    assert not any(b"uthorization" in head for head in server.heads)


async def test_a_redirect_to_the_relay_is_not_the_relays_own_link(tmp_path: Path) -> None:
    """Its 401 is answered without the key: another server chose the address."""
    limits = evolve(KEYED, allow_private_media=True)

    async def there(_: Any, writer: Any) -> None:
        head = server_of[0].heads[-1]
        own_host = f"Host: 127.0.0.1:{server_of[0].port}".encode() in head
        location = f"Location: {server_of[0].base_url}{PATH}"
        writer.write(http(401) if own_host else http(302, b"", location))

    error, server = await own([there], tmp_path, limits, "http://localhost:{port}/v.mp4")

    assert isinstance(error, DownloadError)
    assert error.reason == "status"
    assert not any(b"uthorization" in head for head in server.heads)


@pytest.mark.parametrize(
    "link",
    [
        *("http://localhost:3000/v1/videos/x/content", "https://LOCALHOST./x", "http://api.localhost/x"),
        *("http://127.0.0.1:3000/x", "https://127.1/x", "http://[::1]:3000/x", "http://0.0.0.0:3000/x"),
        "http://[::ffff:127.0.0.1]/x",
    ],
)
async def test_a_link_to_this_machine_means_a_wrong_server_address(tmp_path: Path, link: str) -> None:
    """A relay elsewhere has put its own default into its links; nothing is asked for."""
    settings = Settings.load("https://relay.example", KEY, STRICT)
    async with downloading(limits=STRICT, relay=settings) as downloader:
        with pytest.raises(DownloadError, match='"server address"') as caught:
            await downloader.download(generation(link), tmp_path)

        assert not downloader._servers._sessions
    assert caught.value.reason == "refused"


async def test_a_wrong_server_address_is_named_where_private_links_are_allowed_too(tmp_path: Path) -> None:
    """Nothing listens there, and no other reason is as likely."""
    settings = Settings.load("https://relay.example", KEY, OPEN)
    async with downloading(relay=settings) as downloader:
        with pytest.raises(DownloadError, match='"server address"') as caught:
            await downloader.download(generation(f"http://localhost:{free_port()}/v.mp4"), tmp_path)

    assert caught.value.reason == "status"


@pytest.mark.parametrize("link", ["http://cdn.example/v.mp4", "http://10.0.0.1/v.mp4"])
async def test_another_private_link_is_no_wrong_server_address(tmp_path: Path, link: str) -> None:
    """It is refused by the rules for media, whose option is named."""
    settings = Settings.load("https://relay.example", KEY, STRICT)
    async with downloading(limits=STRICT, relay=settings) as downloader:
        with pytest.raises(DownloadError, match="allow_private_media"):
            await downloader.download(generation(link), tmp_path)


async def test_a_user_agent_can_be_chosen_for_media(tmp_path: Path) -> None:
    """A server that refuses ours gives the file; the bytes are still asked for as they are."""
    browser = "Mozilla/5.0 (X11; Linux x86_64)"

    async def picky(_: Any, writer: Any) -> None:
        writer.write(GOOD if browser.encode() in server_of[0].heads[-1] else http(403))

    async with RawServer([picky]) as server:
        server_of[:] = [server]
        settings = Settings.load(
            "https://relay.example", KEY, OPEN, media_headers=Secret({"user-agent": browser, "Referer": "https://a.b/"})
        )
        async with downloading(relay=settings) as downloader:
            path = await downloader.download(generation(server.base_url), tmp_path)

    assert path.read_bytes() == BODY
    (head,) = server.heads
    assert head.lower().count(b"user-agent:") == 1
    assert b"Referer: https://a.b/" in head
    assert b"Accept-Encoding: identity" in head


# --- media inside the answer ---


def data(content: bytes, kind: str = "video/mp4") -> str:
    """Return *content* as a link."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def test_a_video_inside_the_answer_is_stored_like_any_other(tmp_path: Path) -> None:
    """Without a request; an existing file is an error here too."""
    async with downloading(limits=STRICT) as downloader:
        path = await downloader.download(with_link(data(BODY)), tmp_path)
        with pytest.raises(DownloadError) as caught:
            await downloader.download(with_link(data(BODY)), tmp_path)

        assert not downloader._servers._sessions
    assert caught.value.reason == "exists"
    assert path.read_bytes() == BODY
    assert names(tmp_path) == [NAME]


async def test_a_picture_inside_the_answer_is_stored_as_what_it_is(tmp_path: Path) -> None:
    """The type in the link chooses nothing."""
    jpeg = b"\xff\xd8\xff\xe0" + bytes(20)
    async with downloading(limits=STRICT) as downloader:
        path = await downloader.download(generation(data(jpeg, "image/png")), tmp_path, role="thumbnail")

    assert path == tmp_path / f"{ID}.thumbnail.jpg"


BAD_DATA = {
    "not-media": [
        data(b"<html>no video at all</html>"),
        data(BODY)[:-1],
        data(BODY) + "=",
        data(BODY).replace("base64,", "base64,\n"),
        data(b""),
        "data:video/mp4;base64,AA-_",
        "data:video/mp4;base64,%41%41%41%41",
    ],
    "truncated": [data(BODY[:-1])],
    "refused": [data(BODY, "text/html"), data(BODY, "image/jpeg"), "data:video/mp4,abc", "data:"],
}


@pytest.mark.parametrize(("reason", "link"), [(reason, link) for reason in BAD_DATA for link in BAD_DATA[reason]])
async def test_what_a_data_link_holds_is_checked_like_any_file(tmp_path: Path, reason: str, link: str) -> None:
    """Strict base64 of a video, or no file; its text is in no message."""
    async with downloading(limits=STRICT) as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(with_link(link), tmp_path)

    assert caught.value.reason == reason
    assert "base64," not in f"{caught.value!s}{caught.value.url}"
    assert names(tmp_path) == []


async def test_a_client_knows_its_relays_own_media(tmp_path: Path) -> None:
    """Its address, its limits and its headers for media reach the downloads."""
    limits = evolve(KEYED, allow_insecure_http=True)
    async with RawServer([http(401), http(200, BODY, MP4)]) as server:
        found = generation(f"{server.base_url}/content")
        async with LumaClient(
            server.base_url, KEY, limits=limits, headers={"X-Team": "films"}, media_headers={"User-Agent": "films/1"}
        ) as luma:
            path = await luma.download(found, tmp_path)

    assert path.read_bytes() == BODY
    assert all(b"User-Agent: films/1" in head and b"X-Team" not in head for head in server.heads)
