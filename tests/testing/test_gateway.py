"""What the simulated relay answers, in both shapes, without a server."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from attrs import evolve

from luma_async._relay.answer import Answer
from luma_async._relay.tasks import read_task
from luma_async.models import Generation, State
from luma_async.testing import Fault, Script
from luma_async.testing._gateway import Gateway
from luma_async.testing.exchange import Asked, Reply, Target
from tests.kit import Clock, sample

KEY = "sk-test-0123456789"
EPOCH = datetime(2024, 12, 22, 13, 38, 40, 139409, tzinfo=UTC)
ENVELOPE = pytest.mark.parametrize("envelope", [False, True], ids=["bare", "envelope"])


def ask(desk: Gateway, method: str, link: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """Send one request, with the right key if no headers are given."""
    parts = urlsplit(link)
    request = Asked(
        method=method,
        path=parts.path,
        query=dict(parse_qsl(parts.query)),
        headers={"Authorization": f"Bearer {KEY}"} if headers is None else headers,
        body=b"" if body is None else json.dumps(body).encode(),
        target=Target.of(method, parts.path),
        now=desk.now,
    )
    return desk.take(request)[0]


def look(desk: Gateway, task_id: str) -> Any:
    """Return the JSON of a look at one task, which must succeed."""
    reply = ask(desk, "GET", f"/luma/generations/{task_id}")
    assert reply.status == 200
    return json.loads(reply.body)


def read(desk: Gateway, task_id: str) -> Generation:
    """Return what a client makes of a look at one task."""
    reply = ask(desk, "GET", f"/luma/generations/{task_id}")
    return read_task(Answer(reply.status, reply.body, reply.headers["Content-Type"]), task_id)


def desk_at(clock: Clock, **options: Any) -> Gateway:
    """Make a desk whose time the test holds."""
    return Gateway(api_key=KEY, clock=clock, epoch=EPOCH, **options)


# --- time and tasks ---


@ENVELOPE
def test_a_client_sees_the_states_of_the_script_in_their_time(*, envelope: bool) -> None:
    """Relay seconds are real seconds times the speed."""
    clock = Clock()
    desk = desk_at(clock, speed=10, envelope=envelope)
    desk.add("a", script=Script.of(("pending", 10), ("dreaming", 10), ("processing", 10), "completed"))
    seen = []

    for _ in range(5):
        seen.append(read(desk, "a").state)
        clock.now += 0.8

    assert seen == [State.PENDING, State.PENDING, State.PROCESSING, State.PROCESSING, State.COMPLETED]


@ENVELOPE
def test_a_word_that_nobody_knows_reaches_the_client_as_it_is(*, envelope: bool) -> None:
    """An envelope's outer status does not hide what was scripted."""
    desk = desk_at(Clock(), envelope=envelope)
    desk.add("a", script=Script.of("Pondering deeply"))

    generation = read(desk, "a")

    assert (generation.state, generation.state_text) == (State.UNKNOWN, "Pondering deeply")


def test_a_tasks_time_starts_when_it_is_registered() -> None:
    """Not when the relay was made."""
    clock = Clock()
    desk = desk_at(clock)
    clock.now += 100

    desk.add("a")

    assert look(desk, "a")["state"] == "pending"


def test_made_up_ids_are_the_same_in_every_run_and_never_twice() -> None:
    """Two relays make up the same ids, in the same order."""
    first, second = desk_at(Clock()), desk_at(Clock())

    ids = [first.add() for _ in range(3)]

    assert ids == [second.add() for _ in range(3)]
    assert len(set(ids)) == 3


def test_an_id_cannot_be_registered_twice() -> None:
    """The second script would be lost in silence."""
    desk = desk_at(Clock())
    desk.add("a")

    with pytest.raises(ValueError, match="'a' is registered already"):
        desk.add("a")


def test_an_id_that_no_client_could_ask_for_is_refused() -> None:
    """A test that waits for it would wait in vain."""
    with pytest.raises(ValueError, match="not a task id"):
        desk_at(Clock()).add("a/b")


@pytest.mark.parametrize("options", [{"speed": 0}, {"speed": -1}, {"link_ttl": 0}, {"api_key": ""}])
def test_a_relay_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    """No time passes, no link lives, or nobody could ever enter."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Gateway(**options)


# --- one task ---


def test_a_pending_answer_is_sparse() -> None:
    """What is not there yet is null or absent, as on real relays."""
    desk = desk_at(Clock())
    desk.add("a", script=Script.completes(prompt="a cat"))

    assert look(desk, "a") == {
        "id": "a",
        "liked": None,
        "state": "pending",
        "video": None,
        "prompt": "a cat",
        "created_at": "2024-12-22T13:38:40.139Z",
        "estimate_wait_seconds": None,
    }


def names(value: Any, place: str = "") -> set[str]:
    """Return the places in a JSON object, as dotted paths."""
    if not isinstance(value, dict):
        return {place}
    return set().union(*(names(inner, f"{place}.{name}") for name, inner in value.items()))


def test_a_completed_answer_has_all_that_the_fullest_real_one_has() -> None:
    """Field for field, and Go's zero time inside the artifact."""
    desk = desk_at(Clock())
    desk.add("a", script=Script.of("completed", prompt="a cat", aspect_ratio="9:16"))

    answer = look(desk, "a")

    assert names(answer) == names(sample("get__completed__artifact").body)
    assert answer["artifact"]["created_at"] == "0001-01-01T00:00:00Z"
    assert answer["request"] == {"prompt": "a cat", "aspect_ratio": "9:16"}
    assert answer["artifact"]["video"] == answer["video"]


def test_a_row_has_all_that_a_real_one_has() -> None:
    """Field for field, and the progress that the contract tells of."""
    desk = desk_at(Clock(), envelope=True)
    desk.add("a", script=Script.of("processing"))

    row = look(desk, "a")["data"]

    assert names(row) == names(sample("tasks__in_progress__envelope").body["data"][0]) | {".progress"}


def test_a_submit_has_all_that_a_real_one_has() -> None:
    """Field for field."""
    reply = ask(desk_at(Clock()), "POST", "/luma/generations", {"user_prompt": "a cat"})

    assert names(json.loads(reply.body)) == names(sample("submit__pending__201").body)


@ENVELOPE
def test_a_client_understands_a_completed_answer_to_the_last_field(*, envelope: bool) -> None:
    """Nothing in it is unusable, and the best link is the clean one."""
    desk = desk_at(Clock(), envelope=envelope)
    desk.add("a", script=Script.of("completed"))

    generation = read(desk, "a")

    assert generation.problems == ()
    assert generation.created_at == EPOCH.replace(microsecond=139000)
    assert urlsplit(generation.video_url).path == "/media/a/video.mp4"
    assert generation.artifact is not None
    assert generation.artifact.video == generation.video
    assert generation.video_raw is not None
    assert (generation.video_raw.width, generation.video_raw.height, generation.video_raw.duration) == (160, 90, 2.0)


def test_completed_can_come_a_moment_before_any_link() -> None:
    """The answer is completed and has no media, then it has."""
    clock = Clock()
    desk = desk_at(clock)
    desk.add("a", script=Script.of("completed", links_after=2))
    before = read(desk, "a")

    clock.now += 2

    assert (before.state, before.video_url) == (State.COMPLETED, None)
    assert read(desk, "a").video_url is not None


@ENVELOPE
@pytest.mark.parametrize("reason", ["moderation", None])
def test_a_failed_answer_has_its_reason_and_no_media(reason: str | None, *, envelope: bool) -> None:
    """Some relays give none."""
    desk = desk_at(Clock(), envelope=envelope)
    desk.add("a", script=Script.fails(reason=reason, after=0))

    generation = read(desk, "a")

    assert (generation.state, generation.failure_reason) == (State.FAILED, reason)
    assert generation.video_url is None


def test_a_row_is_a_gateways() -> None:
    """The task's id is task_id; id is a database key; times are whole seconds, 0 where not set."""
    clock = Clock()
    desk = desk_at(clock, envelope=True)
    desk.add("first")
    desk.add("second", script=Script.completes(pending=2, processing=2))
    clock.now += 3

    answer = look(desk, "second")

    row = answer.pop("data")
    submitted = int(EPOCH.timestamp())
    assert answer == {"code": "success", "message": ""}
    assert (row["id"], row["task_id"], row["status"], row["progress"]) == (2, "second", "IN_PROGRESS", "75%")
    assert (row["submit_time"], row["start_time"], row["finish_time"]) == (submitted, submitted + 2, 0)
    assert (row["fail_reason"], row["data"]["id"], row["data"]["state"]) == ("", "second", "processing")


@pytest.mark.parametrize(
    ("script", "status", "progress"),
    [
        (Script.of(("pending", 9)), "SUBMITTED", "0%"),
        (Script.of("processing"), "IN_PROGRESS", "99%"),
        (Script.of("completed"), "SUCCESS", "100%"),
        (Script.of("failed"), "FAILURE", "100%"),
        (Script.of("dreaming"), "IN_PROGRESS", "99%"),
    ],
)
def test_a_rows_status_is_the_gateways_own_word(script: Script, status: str, progress: str) -> None:
    """Upper case, and 100 % only at the end."""
    desk = desk_at(Clock(), envelope=True)
    desk.add("a", script=script)

    row = look(desk, "a")["data"]

    assert (row["status"], row["progress"]) == (status, progress)


def test_a_finished_row_says_when() -> None:
    """finish_time is the end of the script, however late one looks."""
    clock = Clock()
    desk = desk_at(clock, envelope=True)
    desk.add("a", script=Script.fails(reason="moderation", after=3))
    clock.now += 100

    row = look(desk, "a")["data"]

    assert (row["finish_time"], row["fail_reason"]) == (int(EPOCH.timestamp()) + 3, "moderation")


# --- many tasks ---


def test_a_batch_query_answers_those_it_knows() -> None:
    """In any order, each once, the unknown left out in silence."""
    desk = desk_at(Clock())
    desk.add("a")
    desk.add("b")

    reply = ask(desk, "POST", "/luma/tasks", {"ids": ["a", "ghost", "b", "a"]})

    assert sorted(task["id"] for task in json.loads(reply.body)) == ["a", "b"]


def test_a_batch_query_in_an_envelope_answers_rows() -> None:
    """The rows are the same as in a look at one task."""
    desk = desk_at(Clock(), envelope=True)
    desk.add("a")

    reply = ask(desk, "POST", "/luma/tasks", {"ids": ["a"]})

    answer = json.loads(reply.body)
    assert answer == {"code": "success", "message": "", "data": [look(desk, "a")["data"]]}


@pytest.mark.parametrize(
    ("envelope", "nothing"), [(False, []), (True, {"code": "success", "message": "", "data": None})]
)
def test_a_batch_query_without_a_match_is_a_success(nothing: Any, *, envelope: bool) -> None:
    """An envelope's data is null then, no empty list."""
    reply = ask(desk_at(Clock(), envelope=envelope), "POST", "/luma/tasks", {"ids": ["ghost"]})

    assert (reply.status, json.loads(reply.body)) == (200, nothing)


# --- submitting, and the clean link ---


@pytest.mark.parametrize("status", [200, 201])
def test_a_submit_makes_a_task_with_the_relays_own_script(status: int) -> None:
    """It is pending at once, whatever that script begins with, and has the prompt that was sent."""
    desk = desk_at(Clock(), submit_status=status, script=Script.of(("queued", 1), "completed"))

    reply = ask(desk, "POST", "/luma/generations", {"user_prompt": "a cat", "aspect_ratio": "1:1"})

    answer = json.loads(reply.body)
    assert (reply.status, answer["state"], answer["prompt"]) == (status, "pending", "a cat")
    assert answer["created_at"] == "2024-12-22T13:38:40.139409Z"
    assert look(desk, answer["id"])["state"] == "queued"
    assert look(desk, answer["id"])["prompt"] == "a cat"


def test_a_submitted_aspect_ratio_is_kept() -> None:
    """The finished generation tells what was asked for."""
    desk = desk_at(Clock(), script=Script.of("completed"))
    task_id = json.loads(ask(desk, "POST", "/luma/generations", {"user_prompt": "a cat", "aspect_ratio": "1:1"}).body)[
        "id"
    ]

    assert look(desk, task_id)["request"] == {"prompt": "a cat", "aspect_ratio": "1:1"}


def test_an_extension_makes_a_task_of_its_own() -> None:
    """With a prompt of its own, and the aspect ratio of the one that it continues."""
    desk = desk_at(Clock(), script=Script.of("completed"))
    desk.add("a", script=Script.of("completed", aspect_ratio="1:1"))

    reply = ask(desk, "POST", "/luma/generations/a/extend", {"user_prompt": "and on"})

    task_id = json.loads(reply.body)["id"]
    assert desk.task_ids == ["a", task_id]
    assert look(desk, task_id)["request"] == {"prompt": "and on", "aspect_ratio": "1:1"}


@pytest.mark.parametrize(("takes", "made"), [(True, 1), (False, 0)])
def test_a_fault_may_hide_that_a_submit_was_taken(takes: bool, made: int) -> None:  # noqa: FBT001
    """A gateway that answers 502 has handed it on, or has not."""
    desk = desk_at(Clock())
    desk.trouble(evolve(Fault.bad_gateway(), takes=takes))

    reply = ask(desk, "POST", "/luma/generations", {"user_prompt": "a cat"})

    assert reply.status == 502
    assert len(desk.task_ids) == made


def test_the_clean_link_can_be_asked_for() -> None:
    """It serves where the answer has only a watermarked one."""
    desk = desk_at(Clock())
    desk.add("a", script=Script.of("completed", watermarked_only=True))

    reply = ask(desk, "GET", "/luma/generations/a/download_video_url")

    assert urlsplit(read(desk, "a").video_url).path == "/media/a/watermarked.mp4"
    assert urlsplit(json.loads(reply.body)["url"]).path == "/media/a/video.mp4"


# --- saying no ---


@pytest.mark.parametrize("path", ["/luma/generations/ghost", "/luma/generations/ghost/download_video_url"])
def test_an_unknown_task_does_not_exist(path: str) -> None:
    """With the status and the code of real relays."""
    reply = ask(desk_at(Clock()), "GET", path)

    assert reply.status == 400
    assert json.loads(reply.body) == {"code": "task_not_exist", "message": "task_not_exist", "data": None}


@pytest.mark.parametrize("authorization", [None, "", KEY, f"Basic {KEY}", f"Bearer {KEY}x", "Bearer \udcff"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/luma/generations/a"), ("POST", "/luma/tasks"), ("POST", "/luma/generations")]
)
def test_a_wrong_key_opens_nothing(method: str, path: str, authorization: str | None) -> None:
    """No task, no list and no submit: 401, in the shape of real relays; a missing key is said so."""
    desk = desk_at(Clock())
    desk.add("a")
    headers = {} if authorization is None else {"Authorization": authorization}

    reply = ask(desk, method, path, {"ids": ["a"], "user_prompt": "a cat"}, headers=headers)

    answer = json.loads(reply.body)
    assert (reply.status, answer["error"]["type"]) == (401, "new_api_error")
    said = "无效的令牌" if authorization else "未提供令牌"
    assert answer["error"]["message"].startswith(f"{said} (request id: ")


_NO_PROMPTS: tuple[Any, ...] = (None, {}, {"user_prompt": ""}, {"user_prompt": " "}, {"user_prompt": 5}, ["a cat"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "/luma/tasks", {"ids": "a"}, 400, "invalid_request"),
        *(("POST", "/luma/generations", body, 400, "invalid_request") for body in _NO_PROMPTS),
        ("POST", "/luma/generations/ghost/extend", {"user_prompt": "and on"}, 400, "task_not_exist"),
        ("GET", "/luma/generations/a/download_video_url", None, 400, "task_not_completed"),
    ],
)
def test_what_makes_no_sense_is_refused(method: str, path: str, body: Any, status: int, told: str) -> None:
    """With the status and the code of real relays, and no task is registered."""
    desk = desk_at(Clock())
    desk.add("a")

    reply = ask(desk, method, path, body)

    assert (reply.status, json.loads(reply.body)["code"]) == (status, told)
    assert desk.task_ids == ["a"]


@pytest.mark.parametrize(
    ("method", "path", "options"), [("GET", "/v1/luma/generations/a", {}), ("POST", "/luma/tasks", {"batch": False})]
)
def test_an_unknown_path_is_an_invalid_url(method: str, path: str, options: dict[str, Any]) -> None:
    """Even without a key, since a gateway looks at the path first; a relay may have no batch query."""
    reply = ask(desk_at(Clock(), **options), method, path, {"ids": ["a"]}, headers={})

    assert (reply.status, json.loads(reply.body)["error"]["message"]) == (404, f"Invalid URL ({method} {path})")


def test_each_answer_has_a_request_id_of_its_own() -> None:
    """A thousand answers at one moment have a thousand ids, beyond what is remembered too."""
    desk = desk_at(Clock(), remember=10)

    ids = {ask(desk, "GET", "/").headers["X-Oneapi-Request-Id"] for _ in range(1000)}

    assert len(ids) == 1000


# --- media ---


def test_media_need_a_link_and_no_key() -> None:
    """The link of an answer opens its file to anybody."""
    desk = desk_at(Clock())
    desk.add("a", script=Script.of("completed"))
    link = look(desk, "a")["video"]["download_url"]

    reply = ask(desk, "GET", link, headers={})

    assert (reply.status, reply.headers["Content-Type"]) == (200, "video/mp4")
    assert reply.body.endswith(b"a/video.mp4")


def test_an_expired_link_is_renewed_by_asking_again() -> None:
    """The old one is refused for good, the fresh one works."""
    clock = Clock()
    desk = desk_at(clock, link_ttl=60)
    desk.add("a", script=Script.of("completed"))
    old = look(desk, "a")["video"]["download_url"]
    clock.now += 60

    fresh = look(desk, "a")["video"]["download_url"]

    assert [ask(desk, "GET", link, headers={}).status for link in (old, fresh)] == [403, 200]


def test_there_is_no_link_to_a_file_that_does_not_exist() -> None:
    """A genuine signature for another name does not help."""
    desk = desk_at(Clock())
    link = desk._router("").links.to("a", "passwd", desk.now)

    assert ask(desk, "GET", link, headers={}).status == 403


# --- trouble ---


def test_a_fault_replaces_the_answer_and_is_used_up() -> None:
    """The next one is right again; a request id comes along even so."""
    desk = desk_at(Clock())
    desk.add("a")
    desk.trouble(Fault.bad_gateway())

    replies = [ask(desk, "GET", "/luma/generations/a") for _ in range(2)]

    assert [reply.status for reply in replies] == [502, 200]
    assert all("X-Oneapi-Request-Id" in reply.headers for reply in replies)


@ENVELOPE
def test_another_tasks_answer_is_a_whole_answer_under_another_id(*, envelope: bool) -> None:
    """Nothing in it but the id says that it is wrong."""
    desk = desk_at(Clock(), envelope=envelope)
    desk.add("a", script=Script.of("completed"))
    desk.trouble(Fault.another_task())

    answer = look(desk, "a")

    row = answer["data"] if envelope else answer
    generation = row["data"] if envelope else answer
    assert (generation["id"], generation["state"]) == ("stranger-to-a", "completed")
    assert row.get("task_id", "stranger-to-a") == "stranger-to-a"


def test_another_tasks_file_is_valid_and_not_the_one_asked_for() -> None:
    """Links can lead to a stranger's video too."""
    desk = desk_at(Clock())
    desk.add("a", script=Script.of("completed"))
    link = look(desk, "a")["video"]["download_url"]
    desk.trouble(Fault.another_task(), on="media")

    contents = [ask(desk, "GET", link, headers={}).body for _ in range(2)]

    assert contents[0].endswith(b"a-stranger/video.mp4")
    assert contents[1].endswith(b"a/video.mp4")


def test_trouble_can_be_calmed() -> None:
    """A relay that is down for ever comes back when the test says so."""
    desk = desk_at(Clock())
    desk.add("a")
    desk.trouble(Fault.bad_gateway(), times=None, task_id="a")
    before = ask(desk, "GET", "/luma/generations/a").status

    desk.calm()

    assert (before, ask(desk, "GET", "/luma/generations/a").status) == (502, 200)


# --- records ---


def test_requests_are_remembered_in_their_order() -> None:
    """With the status that was answered, and the relay's time."""
    clock = Clock()
    desk = desk_at(clock, speed=10)
    desk.add("a")
    desk.trouble(Fault.bad_gateway(), on="batch")
    ask(desk, "GET", "/luma/generations/a")
    clock.now += 0.5

    ask(desk, "POST", "/luma/tasks", {"ids": ["a"]})

    assert [(seen.kind, seen.status, seen.at) for seen in desk.requests] == [("look", 200, 0.0), ("batch", 502, 5.0)]


def test_a_reset_has_no_status() -> None:
    """Nothing was answered."""
    desk = desk_at(Clock())
    desk.trouble(Fault.connection_reset())

    ask(desk, "GET", "/luma/generations/a")

    assert desk.requests[0].status is None


def test_only_the_latest_requests_are_remembered() -> None:
    """A relay that runs for days does not fill the memory."""
    desk = desk_at(Clock(), remember=2)

    for path in ("/1", "/2", "/3"):
        ask(desk, "GET", path)

    assert [seen.path for seen in desk.requests] == ["/2", "/3"]


def test_the_records_are_the_callers_own() -> None:
    """Clearing the list changes nothing at the relay."""
    desk = desk_at(Clock())
    ask(desk, "GET", "/1")

    desk.requests.clear()

    assert len(desk.requests) == 1


def test_the_key_is_in_no_repr() -> None:
    """A failing assertion prints the relay."""
    assert KEY not in repr(desk_at(Clock()))


def test_what_was_asked_about_one_task_is_picked_out() -> None:
    """Alone or among others; of one kind, if that is said."""
    desk = Gateway(api_key=KEY)
    mine, other = desk.add(), desk.add()
    look(desk, mine)
    look(desk, other)
    ask(desk, "POST", "/luma/tasks", {"ids": [other, mine]})

    assert [seen.kind for seen in desk.asked_about(mine)] == ["look", "batch"]
    assert [seen.task_ids for seen in desk.asked_about(mine, kind="batch")] == [(other, mine)]
    assert desk.asked_about("nobody") == []
