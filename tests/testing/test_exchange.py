"""Exchanges as the simulated relay sees them: what is meant, and what is kept."""

import json
from collections.abc import Mapping

import pytest

from luma_async.testing import SeenRequest
from luma_async.testing.exchange import Asked, Reply, Target

KEY = "sk-test-0123456789"


def asked(
    method: str = "GET", path: str = "/luma/generations/a", body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Asked:
    """Make a request at relay second 1."""
    target = Target.of(method, path)
    return Asked(method=method, path=path, query={}, headers=headers or {}, body=body, target=target, now=1.0)


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", "/luma/generations/a-1", Target("look", "a-1")),
        ("GET", "/luma/generations/a%20b", Target("look", "a b")),
        ("GET", "/luma/generations/", Target("unknown")),
        ("GET", "/luma/generations", Target("unknown")),
        ("DELETE", "/luma/generations/a", Target("unknown")),
        ("POST", "/luma/generations", Target("submit")),
        ("POST", "/luma/generations/", Target("submit", slash=True)),
        ("GET", "/luma/generations/a-1/", Target("look", "a-1", slash=True)),
        ("HEAD", "/luma/generations/a-1", Target("look", "a-1")),
        ("OPTIONS", "/luma/generations/a-1", Target("unknown")),
        ("POST", "/luma/tasks", Target("batch")),
        ("GET", "/luma/tasks", Target("unknown")),
        ("GET", "/luma/generations/a/download_video_url", Target("link", "a")),
        ("POST", "/luma/generations/a/extend", Target("extend", "a")),
        ("GET", "/luma/generations/a/extend", Target("unknown")),
        ("POST", "/luma/generations/a/download_video_url", Target("unknown")),
        ("GET", "/media/a/video.mp4", Target("media", "a", "video.mp4")),
        ("HEAD", "/media/a/video.mp4", Target("media", "a", "video.mp4")),
        ("POST", "/media/a/video.mp4", Target("unknown")),
        ("GET", "/v1/luma/generations/a", Target("unknown")),
        ("GET", "/", Target("unknown")),
    ],
)
def test_a_method_and_a_path_have_one_meaning(method: str, path: str, target: Target) -> None:
    """Only the contract's own pairs mean something to the relay."""
    assert Target.of(method, path) == target


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"ids": ["b", "a", "b"]}', ("b", "a")),
        (b'{"ids": []}', ()),
        (b'{"ids": "a"}', None),
        (b'{"ids": ["a", 5]}', None),
        (b"{}", ()),
        (b"[]", None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_a_batch_query_names_each_task_once_or_is_unusable(body: bytes, ids: tuple[str, ...] | None) -> None:
    """Anything but a list of strings under ids is no list of tasks."""
    assert asked("POST", "/luma/tasks", body).ids == ids


def test_a_request_that_names_no_task_is_about_none() -> None:
    """A submit has no id yet."""
    assert asked("POST", "/luma/generations").ids == ()


def test_a_record_never_holds_the_key() -> None:
    """Neither in Authorization nor where a careless client put it."""
    headers = {"Authorization": f"Bearer {KEY}", "X-Api-Key": KEY, "Accept": "text/html"}
    request = asked(path=f"/luma/{KEY}", headers=headers)

    seen = SeenRequest.of(request, 404, key=KEY)

    assert KEY not in f"{seen!r} {seen.headers} {seen.path}"
    assert seen.headers == {"x-api-key": "[key]", "accept": "text/html"}


@pytest.mark.parametrize(("headers", "had_key"), [({}, False), ({"authorization": "Bearer wrong"}, True)])
def test_a_record_says_whether_a_key_came_along(headers: dict[str, str], *, had_key: bool) -> None:
    """A wrong key is a key too: media must be asked for without any."""
    assert SeenRequest.of(asked(headers=headers), 200, key=KEY).had_key is had_key


def test_a_record_tells_what_was_asked() -> None:
    """Kind, method, path, tasks, answer and time are kept."""
    request = asked("POST", "/luma/tasks", b'{"ids": ["a", "b"]}')

    seen = SeenRequest.of(request, 200, key=KEY)

    assert (seen.kind, seen.method, seen.path, seen.task_ids) == ("batch", "POST", "/luma/tasks", ("a", "b"))
    assert (seen.status, seen.at) == (200, 1.0)


def test_json_is_written_as_relays_write_it() -> None:
    """Chinese stays readable in the body."""
    reply = Reply.json({"message": "无效的令牌"}, 401)

    assert (reply.status, json.loads(reply.body)) == (401, {"message": "无效的令牌"})
    assert "无效的令牌".encode() in reply.body
    assert reply.headers == {"Content-Type": "application/json; charset=utf-8"}


def test_half_a_surrogate_pair_is_written_as_the_escape_that_it_came_as() -> None:
    """A prompt may hold one, and the body is valid UTF-8 and valid JSON all the same."""
    reply = Reply.json({"prompt": "a \ud800 cat"})

    assert reply.body == b'{"prompt": "a \\ud800 cat"}'
    assert json.loads(reply.body) == {"prompt": "a \ud800 cat"}
