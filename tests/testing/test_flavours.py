"""The simulated relay beside real gateways: it says what they said, and a client gets along with each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from attrs import frozen

from luma_async import (
    AuthenticationError,
    GenerationFailedError,
    Limits,
    LumaClient,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    State,
)
from luma_async.testing import FastTime, Fault, RelayThread, Script, SimulatedRelay
from luma_async.testing._flavours import FLAVOURS
from luma_async.testing.exchange import Flavour, Reply
from tests.kit import KEY, Clock, sample
from tests.testing.test_gateway import ask, desk_at

NAMES = list(FLAVOURS)
TASK = "fc7fb008-7a5e-40ad-a7ff-dbb63db61be8"
PATH = f"/luma/generations/{TASK}"
CAT = {"user_prompt": "cat dance"}
LIMITS = Limits(allow_private_media=True)
ORIGIN = {"Authorization": f"Bearer {KEY}", "Origin": "https://app.example"}
BARE = {"Authorization": KEY}
WRONG = {"Authorization": "Bearer sk-wrong"}


@frozen
class Said:
    """A request, and the captured answer to it: its name without the gateway's."""

    flavour: Flavour
    name: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] | None = None

    @property
    def captured(self) -> str:
        """Return the name of the sample."""
        return f"gateways/{self.flavour.replace('-', '_')}__{self.name}"


SAID = [
    Said("luma-api", "301_get_slash", "GET", f"{PATH}/"),
    Said("luma-api", "401_wrong_key", "GET", PATH, headers=WRONG),
    Said("luma-api", "401_wrong_key", "GET", PATH, headers={}),
    Said("luma-api", "404_no_batch", "POST", "/luma/tasks", {"ids": [TASK]}),
    Said("luma-api", "404_unknown_id", "GET", "/luma/generations/ghost"),
    Said("luma-api", "404_v1_prefix", "GET", f"/v1{PATH}"),
    Said("luma-api", "options", "OPTIONS", PATH, headers=ORIGIN),
    Said("luma-api", "submit_201", "POST", "/luma/generations", CAT),
    Said("luma-api", "submit_201", "POST", "/luma/generations", CAT, BARE),
    Said("luma-api", "submit_slash", "POST", "/luma/generations/", CAT),
    Said("luma-api", "submit_empty_body", "POST", "/luma/generations"),
    Said("new-api", "200_page_extend", "POST", f"{PATH}/extend", CAT),
    Said("new-api", "200_page_wrong_prefix", "GET", f"/nothing{PATH}"),
    Said("new-api", "301_get_slash", "GET", f"{PATH}/"),
    Said("new-api", "307_post_slash", "POST", "/luma/generations/", CAT),
    Said("new-api", "401_no_key", "GET", PATH, headers={}),
    Said("new-api", "404_v1", "GET", f"/v1{PATH}"),
    Said("new-api", "get_fresh_row", "GET", PATH),
    Said("new-api", "get_fresh_row", "GET", PATH, headers=BARE),
    Said("new-api", "options_preflight", "OPTIONS", PATH, headers=ORIGIN),
    Said("new-api", "submit_data_is_id", "POST", "/luma/generations", CAT),
    Said("new-api", "tasks_empty_ids", "POST", "/luma/tasks", {}),
    Said("new-api", "tasks_empty_ids", "POST", "/luma/tasks", {"ids": []}),
    Said("new-api", "tasks_fresh_row", "POST", "/luma/tasks", {"ids": [TASK]}),
    Said("new-api", "tasks_none", "POST", "/luma/tasks", {"ids": ["ghost"]}),
    Said("express", "get_queued", "GET", PATH),
    Said("express", "submit", "POST", "/luma/generations", {"user_prompt": "cat"}),
    Said("express", "unknown", "GET", "/luma/generations/ghost"),
    Said("litellm", "options", "OPTIONS", PATH, headers=ORIGIN),
    Said("litellm", "wrong_path", "GET", f"/v1{PATH}"),
    Said("web-proxy", "423_no_access", "GET", PATH, headers={**ORIGIN, **WRONG}),
    Said("web-proxy", "bad_json", "POST", "/luma/generations"),
]


def masked(value: Any, path: str) -> Any:
    """Return a body without what differs from request to request: numbers, times, ids, and the path."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = re.sub(r'/(v1|nothing)?/?luma/generations/[^/"\s)]+|' + re.escape(path), "/path", text)
    text = re.sub(r"[\w.:-]*\d[\w.:-]*", "0", text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def as_text(reply: Reply) -> Any:
    """Return the body of *reply*: its JSON value, or its text."""
    try:
        return json.loads(reply.body)
    except ValueError:
        return reply.body.decode()


@pytest.mark.parametrize("said", SAID, ids=lambda said: f"{said.captured.removeprefix('gateways/')}")
def test_a_flavour_says_what_the_real_gateway_said(said: Said) -> None:
    """Status, kind of content and body are the captured ones, but for numbers, times and ids."""
    desk = desk_at(Clock(), flavour=said.flavour, script=Script.of(("pending", 60), "completed", prompt="cat"))
    desk.add(TASK)
    captured = sample(said.captured)

    reply = ask(desk, said.method, said.path, said.body, said.headers)

    types = [headers.get("Content-Type", "").lower() for headers in (reply.headers, _titled(captured.headers))]
    assert reply.status == captured.status
    assert [kind.split(";")[0] for kind in types[:1]] == [kind.split(";")[0] for kind in types[1:]]
    assert masked(as_text(reply), said.path) == masked(captured.body, said.path)
    assert reply.headers.get("Location", "").replace(TASK, "x") == captured.headers.get("Location", "")
    allowed = {
        name: value for name, value in _titled(captured.headers).items() if name == "Access-Control-Allow-Origin"
    }
    assert {name: value for name, value in reply.headers.items() if name in allowed} == allowed


def _titled(headers: dict[str, str]) -> dict[str, str]:
    return {name.title(): value for name, value in headers.items()}


def test_a_poll_at_litellm_has_the_captured_keys() -> None:
    """Its own CORS header is left out: the capture has the one of its upstream."""
    desk = desk_at(Clock(), flavour="litellm", script=Script.of(("pending", 60), "completed", prompt="cat"))
    desk.add(TASK)

    reply = ask(desk, "GET", PATH)

    assert masked(as_text(reply), PATH) == masked(sample("gateways/litellm__get").body, PATH)


@pytest.mark.parametrize("request_", [("GET", "/luma/generations/ghost"), ("POST", "/luma/generations", {"x": 1})])
def test_express_refuses_in_its_own_form(request_: tuple[Any, ...]) -> None:
    """A submit without a prompt has the keys of the captured refusal."""
    reply = json.loads(ask(desk_at(Clock(), flavour="express"), *request_).body)

    assert {key: type(value) for key, value in reply.items()} == {"success": bool, "error": str}
    assert reply["success"] is False


@pytest.mark.parametrize("name", NAMES)
def test_what_is_right_everywhere(name: str) -> None:
    """A slash after a GET is a 301 to the path without it, a missing key is a refusal, and a bad body is not JSON."""
    desk = desk_at(Clock(), flavour=name)
    desk.add(TASK)

    slash = ask(desk, "GET", f"{PATH}/")
    no_key = ask(desk, "GET", PATH, headers={})
    no_body = ask(desk, "POST", "/luma/generations")

    assert (slash.status, slash.headers["Location"]) == (301, PATH)
    assert (no_key.status, no_body.status) in ((401, 400), (423, 400))
    assert not no_body.headers["Content-Type"].startswith("application/json")


def test_a_browser_may_ask_the_contracts_relay() -> None:
    """The preflight allows the key's header, and each answer to an origin may be read."""
    desk = desk_at(Clock())
    desk.add(TASK)

    allowed = ask(desk, "OPTIONS", PATH, headers={"Origin": "https://app.example"})
    answer = ask(desk, "GET", PATH, headers=ORIGIN)

    assert (allowed.status, "Authorization" in allowed.headers["Access-Control-Allow-Headers"]) == (204, True)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "Access-Control-Allow-Origin" not in ask(desk, "GET", PATH).headers


@pytest.mark.parametrize(("name", "status"), [("contract", 200), ("luma-api", 404), ("new-api", 200)])
def test_head_is_answered_as_gateways_do(name: str, status: int) -> None:
    """Luma-API does not have it, new-api answers with its console."""
    desk = desk_at(Clock(), flavour=name)
    desk.add(TASK)

    reply = ask(desk, "HEAD", PATH)

    assert (reply.status, "html" in reply.headers["Content-Type"]) == (status, name == "new-api")


def test_a_row_follows_its_task_once_in_a_round() -> None:
    """new-api looks every 15 seconds: a task of 20 seconds is a fresh row, then in progress, then done at second 30."""
    clock = Clock()
    desk = desk_at(clock, flavour="new-api")
    clock.now += 1
    desk.add(TASK, script=Script.completes(pending=5, processing=15))
    seen = []

    for _ in range(31):
        row = json.loads(ask(desk, "GET", PATH).body)["data"]
        seen.append((row["status"], row["progress"], row["data"] is None))
        clock.now += 1

    assert [seen.index(each) for each in dict.fromkeys(seen)] == [0, 14, 29]
    assert list(dict.fromkeys(seen)) == [
        ("NOT_START", "0%", True),
        ("IN_PROGRESS", "70%", False),
        ("SUCCESS", "100%", False),
    ]


def test_a_row_of_2026_has_the_newer_fields() -> None:
    """The keys are the captured ones, times are Unix seconds, and a link stands beside the generation."""
    clock = Clock()
    desk = desk_at(clock, flavour="new-api-2026")
    desk.add(TASK, script=Script.of("completed"))
    clock.now += 15

    row = json.loads(ask(desk, "GET", PATH).body)["data"]

    captured = sample("gateways/composed__new_api_2026_row_with_relay_link").body["data"]
    assert set(row) == set(captured)
    assert {name: type(row[name]) for name in captured} == {name: type(value) for name, value in captured.items()}
    assert "/media/" in row["result_url"]


@pytest.mark.parametrize("speed", [0.5, 1, 50])
@pytest.mark.parametrize("envelope", [False, True])
def test_no_time_is_ahead_of_the_clock(speed: float, *, envelope: bool) -> None:
    """Whatever the relay's speed, what it says about times is in the past."""
    clock = Clock()
    desk = desk_at(clock, speed=speed, envelope=envelope)
    clock.now += 100
    desk.add(TASK, script=Script.completes(pending=500, processing=500))
    clock.now += 1000 / speed
    now = desk.epoch.timestamp() + clock.now - 1000

    answer = json.loads(ask(desk, "GET", PATH).body)

    row = answer.get("data", answer)
    assert row["created_at"].startswith("2024-12-22T13:40:20")
    assert row.get("finish_time", int(now)) == int(now)


def test_a_picture_needs_no_prompt() -> None:
    """A submit with a picture and an empty prompt is taken."""
    reply = ask(
        desk_at(Clock()), "POST", "/luma/generations", {"user_prompt": "", "image_url": "https://x.example/a.png"}
    )

    assert (reply.status, json.loads(reply.body)["prompt"]) == (201, "")


@pytest.mark.parametrize(
    ("name", "picture", "status"),
    [
        ("luma-api", "iVBORw0KGgo=", 500),
        ("luma-api", "ftp://x.example/a.png", 500),
        ("luma-api", "https://x.example/a.png", 201),
        ("luma-api", "data:image/png;base64,iVBORw0KGgo=", 201),
        ("contract", "iVBORw0KGgo=", 201),
    ],
)
def test_a_picture_without_its_scheme_is_refused_by_one_gateway(name: str, picture: str, status: int) -> None:
    """It gets the link itself, in Go, and says so."""
    reply = ask(desk_at(Clock(), flavour=name), "POST", "/luma/generations", {"user_prompt": "a", "image_url": picture})

    assert reply.status == status
    assert (b"unsupported protocol scheme" in reply.body) is (status == 500)


@pytest.mark.parametrize("name", NAMES)
def test_express_tells_its_name(name: str) -> None:
    """In a header of each answer, as it does unless it is told not to."""
    reply = ask(desk_at(Clock(), flavour=name), "GET", "/luma/generations/nobody")

    assert reply.headers.get("X-Powered-By") == ("Express" if name == "express" else None)


@pytest.mark.parametrize(("name", "status"), [("contract", 200), ("new-api", 403)])
def test_a_link_that_signs_its_method_is_for_get(name: str, status: int) -> None:
    """HEAD is another method than the one that was signed."""
    desk = desk_at(Clock(), flavour=name)
    link = desk._router("").links.to(TASK, "video.mp4", desk.now)

    assert (ask(desk, "HEAD", link, headers={}).status, ask(desk, "GET", link, headers={}).status) == (status, 200)


def test_an_unknown_flavour_is_refused() -> None:
    """The error names the ones there are."""
    with pytest.raises(ValueError, match="luma-api"):
        desk_at(Clock(), flavour="one-api")


# --- a client beside each of them ---


@pytest.mark.parametrize("envelope", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_a_generation_goes_through_each_gateway(
    luma_time: FastTime, name: Flavour, tmp_path: Path, *, envelope: bool
) -> None:
    """Submitted, waited for and stored; a failure has its reason, and an unknown id is not found."""
    scripts = Script.completes(pending=60, processing=120), Script.fails(reason="moderation")
    async with (
        SimulatedRelay(clock=luma_time.clock, flavour=name, envelope=envelope, script=scripts[0]) as relay,
        LumaClient(relay.base_url, relay.api_key, limits=LIMITS) as luma,
    ):
        failing = relay.add(script=scripts[1])
        task_id = await luma.submit("a cat")
        done = await luma.wait_until_done(task_id, timeout=900)
        path = await luma.download(done, tmp_path)
        with pytest.raises(GenerationFailedError, match="moderation"):
            await luma.wait_until_done(failing)
        with pytest.raises(NotFoundError):
            await luma.wait_until_done("ghost")

    assert done.state is State.COMPLETED
    assert path.read_bytes().endswith(f"{task_id}/video.mp4".encode())


PASSING = [
    "luma_api__get_401_upstream_cookie",
    "luma_api__get_500_upstream_reset",
    "nginx__503_limit_req",
    "new_api__429_rate_limit_ip",
    "new_api__503_no_channel_poll",
    "new_api__submit_upstream_500",
    "new_api__submit_upstream_down",
    "luma_api__submit_200_empty_list",
    "luma_api__submit_429_upstream_chunked",
]
FINAL: dict[str, type[LumaError]] = {
    "luma_api__401_wrong_key": AuthenticationError,
    "luma_api__404_unknown_id": NotFoundError,
    "luma_api__404_v1_prefix": NotFoundError,
    "express__unknown": NotFoundError,
    "litellm__wrong_path": NotFoundError,
    "new_api__401_disabled": AuthenticationError,
    "new_api__401_no_key": AuthenticationError,
    "new_api__403_ip": PermissionDeniedError,
    "new_api__403_key_with_dash": PermissionDeniedError,
    "new_api__404_v1": NotFoundError,
    "web_proxy__423_no_access": LumaError,
}


def captured_fault(name: str) -> Fault:
    """Return the captured answer in the place of the right one."""
    said = sample(f"gateways/{name}")
    headers = {key: value for key, value in said.headers.items() if key.lower() != "content-length"}
    return Fault.http(said.status, said.content, headers)


@pytest.mark.parametrize("name", PASSING)
async def test_a_wait_survives_what_a_gateway_says_in_trouble(luma_time: FastTime, name: str) -> None:
    """Between two good answers, each of these ends nothing."""
    async with (
        SimulatedRelay(clock=luma_time.clock) as relay,
        LumaClient(relay.base_url, relay.api_key, batch="never") as luma,
    ):
        task_id = relay.add(script=Script.completes(pending=10, processing=50))
        states = []
        async with luma.watch(task_id, timeout=600) as snapshots:
            async for snapshot in snapshots:
                states.append(snapshot.state)
                relay.calm()
                relay.trouble(captured_fault(name), times=2)

    assert states == [State.PENDING, State.PROCESSING, State.COMPLETED]
    assert len([seen for seen in relay.requests if seen.status != 200]) == 4


@pytest.mark.parametrize(("name", "error"), FINAL.items())
async def test_a_refusal_by_a_gateway_ends_a_wait(luma_time: FastTime, name: str, error: type[LumaError]) -> None:
    """Before any good answer, the gateway's own refusal is the result, and it does not take the whole deadline."""
    async with (
        SimulatedRelay(clock=luma_time.clock) as relay,
        LumaClient(relay.base_url, relay.api_key, batch="never") as luma,
    ):
        relay.trouble(captured_fault(name), times=None)
        [outcome] = await luma.wait_all([relay.add()], timeout=600)

    assert isinstance(outcome.error, error)
    assert outcome.polls <= 3


# --- other people's clients ---


async def test_a_client_that_posts_with_a_trailing_slash_is_served(luma_relay: SimulatedRelay) -> None:
    """As a web client and Luma-API's own README do; at new-api it follows a redirect, which keeps method and body."""
    async with SimulatedRelay(flavour="new-api") as other, aiohttp.ClientSession() as session:
        for relay, status in ((luma_relay, 201), (other, 200)):
            headers = {"Authorization": f"Bearer {relay.api_key}"}
            async with session.post(f"{relay.base_url}/luma/generations/", json=CAT, headers=headers) as answer:
                assert answer.status == status
                assert relay.task_ids
                assert relay.task_ids[0] in await answer.text()


def test_the_official_sdk_is_served() -> None:
    """Its client reads a generation after a retry, and raises its own errors for an unknown one and a wrong key."""
    lumaai = pytest.importorskip("lumaai", reason="the official SDK is part of the extra bench")
    with RelayThread(SimulatedRelay(script=Script.of("completed"))) as relay:
        base_url = f"{relay.base_url}/luma"
        client = lumaai.LumaAI(auth_token=relay.api_key, base_url=base_url)
        stranger = lumaai.LumaAI(auth_token="wrong", base_url=base_url)
        task_id = relay.add()
        relay.trouble(Fault.http(503, headers={"Retry-After-Ms": "1"}))

        assert client.generations.get(task_id).state == "completed"
        with pytest.raises(lumaai.BadRequestError):
            client.generations.get("ghost")
        with pytest.raises(lumaai.AuthenticationError):
            stranger.generations.get(task_id)
