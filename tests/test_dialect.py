"""A dialect is data: what it says about paths, the key, words and places is what goes out and is read."""

from __future__ import annotations

import json
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from luma_async import ConfigurationError, Dialect, GenerationOptions, LumaClient, State
from luma_async._network.credentials import request_headers
from luma_async._relay.requests import submit_body, submit_path, task_path, tasks_path
from luma_async._relay.tasks import read_task
from luma_async.dialect import RELAY, dialect_of
from luma_async.options import submit_fields
from luma_async.settings import Limits, Settings
from tests.kit import TASK_ID, answer

LUMA = Dialect.named("luma")
OWN = """
task_path = "/v2/jobs/{id}"
tasks_path = ""
key_header = "X-API-Key"
key_prefix = ""
state_keys = ["phase"]
id_keys = ["ticket"]
link_keys = ["media.hd"]
reason_keys = ["why"]
wrappers = ["payload"]
headers = { X-Team = "films" }
[state_words]
klar = "completed"
Kaputt = "failed"
[submit_fields]
prompt = "text"
model_name = "engine.name"
[submit_constants]
model_name = { "engine.kind" = "video" }
"""


@pytest.fixture
def own(tmp_path: Path) -> Dialect:
    """A dialect that somebody wrote for a relay of their own."""
    (tmp_path / "own.toml").write_text(OWN, encoding="utf-8")
    return Dialect.from_toml(tmp_path / "own.toml")


def test_a_file_says_how_requests_look(own: Dialect) -> None:
    """Path, header of the key, further headers, and the body of a submit."""
    settings = Settings.load("https://relay.example", "sk-1", Limits(), environ={}, dialect=own)
    headers = request_headers(settings)
    fields = submit_fields("a cat", GenerationOptions(model_name="ray-2", loop=True))

    assert own.name == "own"
    assert task_path(own, "a-1") == "/v2/jobs/a-1"
    assert (headers["X-API-Key"], headers["X-Team"], "Authorization" in headers) == ("sk-1", "films", False)
    assert json.loads(submit_body(own, fields)) == {
        "text": "a cat",
        "engine": {"name": "ray-2", "kind": "video"},
        "loop": True,
    }
    with pytest.raises(ConfigurationError, match="the dialect own has no batch query"):
        tasks_path(own)


def test_a_file_says_how_answers_are_read(own: Dialect) -> None:
    """Its keys and words come first, and those of other relays still count."""
    body = {"payload": {"ticket": TASK_ID, "phase": "Klar", "video": {"url": "https://a.example/wm"}}}
    body["payload"]["media"] = {"hd": "https://a.example/hd"}

    done = read_task(answer(body), TASK_ID, own)
    failed = read_task(answer({"ticket": TASK_ID, "phase": "kaputt", "why": "no", "error": "E1"}), TASK_ID, own)

    assert (done.state, done.video_url) == (State.COMPLETED, "https://a.example/hd")
    assert (failed.state, failed.failure_reason) == (State.FAILED, "no")
    assert read_task(answer({"id": TASK_ID, "state": "dreaming"}), TASK_ID, own).state is State.PROCESSING


def test_lumas_own_api_is_a_dialect() -> None:
    """Its paths, its fields for pictures, and its answers (contract section 6)."""
    fields = submit_fields("a cat", GenerationOptions(model_name="ray-2", image_url="https://a.example/p.png"))

    assert task_path(LUMA, "a") == "/dream-machine/v1/generations/a"
    assert submit_path(LUMA) == "/dream-machine/v1/generations"
    assert json.loads(submit_body(LUMA, fields)) == {
        "prompt": "a cat",
        "model": "ray-2",
        "keyframes": {"frame0": {"type": "image", "url": "https://a.example/p.png"}},
    }
    with pytest.raises(ConfigurationError, match="no expand_prompt"):
        submit_body(LUMA, submit_fields("a cat", GenerationOptions(expand_prompt=True)))
    agents = {"id": TASK_ID, "state": "completed", "output": [{"type": "video", "url": "https://a.example/v"}]}
    assert read_task(answer(agents), TASK_ID, Dialect.named("luma-agents")).video_url == "https://a.example/v"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"task_path": "/tasks"}, "task_path"),
        ({"task_path": "/{id}/{id}"}, "task_path"),
        ({"task_path": "tasks/{id}"}, "task_path"),
        ({"task_path": "//tasks/{id}"}, "task_path"),
        ({"task_path": "/a/../{id}"}, "task_path"),
        ({"task_path": "/{id}?x=1"}, "task_path"),
        ({"task_path": "/{id}#x"}, "task_path"),
        ({"task_path": "/x@y/{id}"}, "task_path"),
        ({"task_path": "/x\\{id}"}, "task_path"),
        ({"task_path": ""}, "task_path"),
        ({"tasks_path": "/tasks/{id}"}, "tasks_path"),
        ({"key_header": "Host"}, "key_header"),
        ({"key_header": "a b"}, "key_header"),
        ({"key_prefix": "Bearer\n"}, "key_prefix"),
        ({"headers": {"Authorization": "x"}}, "headers"),
        ({"headers": {"x-key": "1"}, "key_header": "X-Key"}, "headers"),
        ({"state_words": {"klar": "complete"}}, "state_words"),
        ({"state_words": {"klar": "unknown"}}, "state_words"),
        ({"state_words": ["klar"]}, "state_words"),
        ({"state_words": {"in queue": "pending", "IN_QUEUE": "failed"}}, "state_words"),
        ({"state_words": {"Klar": "completed", "ok": "completed", "KLAR": "processing"}}, "state_words"),
        ({"state_keys": "state"}, "state_keys"),
        ({"id_keys": [1]}, "id_keys"),
        ({"link_keys": [""]}, "link_keys"),
        ({"wrappers": ["x"] * 1000 + [str(n) for n in range(1000)]}, "wrappers"),
        ({"submit_fields": {"colour": "color"}}, "submit_fields"),
        ({"submit_fields": {"prompt": "a..b"}}, "submit_fields"),
        ({"submit_constants": {"prompt": "x"}}, "submit_constants"),
        ({"submit_constants": {"prompt": {"a": [1]}}}, "submit_constants"),
        ({"submit_constants": {"prompt": {"a": inf}}}, "submit_constants"),
        ({"submit_constants": {"prompt": {"a.b": nan}}}, "submit_constants"),
        ({"submit_fields": {"prompt": "a", "aspect_ratio": "a"}}, "submit_fields"),
        ({"submit_fields": {"prompt": "a", "aspect_ratio": "a.b"}}, "submit_fields"),
        ({"submit_fields": {"prompt": "image_url"}}, "submit_fields"),
        ({"submit_constants": {"loop": {"user_prompt": "x"}}}, "submit_constants"),
        ({"submit_constants": {"loop": {"user_prompt.x": "x"}}}, "submit_constants"),
        ({"submit_constants": {"loop": {"kind": "a"}, "prompt": {"kind": "b"}}}, "submit_constants"),
        ({"task_path": "/a/./{id}"}, "task_path"),
        ({"submit_path": "/a/."}, "submit_path"),
        ({"base_url": "api.example"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://u:p@api.example"}, "base_url"),
        ({"name": "a b"}, "name"),
    ],
)
def test_a_bad_dialect_is_refused_with_the_name_of_the_field(given: dict[str, Any], wanted: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=rf"^Dialect\.{wanted}\b"):
        Dialect(**given)


def test_a_file_may_have_a_mark(tmp_path: Path) -> None:
    """As editors on Windows write it."""
    (tmp_path / "own.toml").write_bytes('\ufefftask_path = "/own/{id}"'.encode())

    assert dialect_of(str(tmp_path / "own.toml")).task_path == "/own/{id}"


def test_two_options_may_have_the_same_constant() -> None:
    """Either of them brings it, and both agree."""
    own = Dialect(submit_constants={"loop": {"kind": "video"}, "prompt": {"kind": "video"}})

    assert json.loads(submit_body(own, {"prompt": "a cat", "loop": True}))["kind"] == "video"


def test_spellings_of_one_word_in_different_states_are_named() -> None:
    """Two in the same state are one word."""
    with pytest.raises(ConfigurationError, match="'KLAR'"):
        Dialect(state_words={"Klar": "completed", "KLAR": "failed"})

    same = Dialect(state_words={"Klar": "completed", "KLAR": "completed"})
    assert same.state_words["klar"] is State.COMPLETED


def test_a_password_in_an_address_is_not_repeated() -> None:
    """The message names the field and shows the host alone."""
    with pytest.raises(ConfigurationError) as caught:
        Dialect(base_url="https://user:s3cret@api.example")

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"state_word = {}", "did you mean state_words"),
        (b"task_path = ", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"#" * 70_000, "bad.toml has more than 64 KiB"),
        (b"task_path = 5", "Dialect.task_path 5"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(text: bytes, wanted: str, tmp_path: Path) -> None:
    """The message says what to correct."""
    (tmp_path / "bad.toml").write_bytes(text)

    with pytest.raises(ConfigurationError, match=wanted):
        dialect_of(str(tmp_path / "bad.toml"))


def test_the_environment_names_the_dialect_unless_an_argument_does() -> None:
    """Its address is the last resort."""
    environ = {"LUMA_DIALECT": "luma", "LUMA_API_KEY": "sk-0123456789"}
    at_luma = Settings.load(None, None, Limits(), environ)
    elsewhere = Settings.load("https://relay.example", None, Limits(), environ, dialect="relay")

    assert (at_luma.dialect, at_luma.base_url) == (LUMA, "https://api.lumalabs.ai")
    assert (elsewhere.dialect, elsewhere.base_url) == (RELAY, "https://relay.example")
    for unknown in ("lumma", "missing/own.toml", 5):
        with pytest.raises(ConfigurationError):
            LumaClient("https://relay.example", "sk-0123456789", dialect=unknown)  # type: ignore[arg-type]


def test_a_batch_without_a_batch_query_is_refused_at_once() -> None:
    """It could never work."""
    with pytest.raises(ConfigurationError, match="the dialect luma has no batch query"):
        LumaClient("https://relay.example", "sk-0123456789", dialect="luma", batch="always")
