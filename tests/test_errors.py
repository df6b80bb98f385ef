"""Everything luma_async raises: the tree, the texts, and that errors travel whole."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable

import pytest

import luma_async
from luma_async import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    Generation,
    GenerationFailedError,
    JournalError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    State,
    TransportError,
    UncertainSubmitError,
    WaitTimeoutError,
    errors,
)
from luma_async.errors import Verdict

FAILED = Generation(id="t-1", state=State.FAILED, state_text="failed", failure_reason="\x1b[31mno cats", raw={"a": 1})
DREAMING = Generation(id="t-1", state=State.UNKNOWN, state_text="dreaming\n", raw={"a": 1})


def _api(kind: type[APIError], status: int, verdict: Verdict = Verdict.FINAL) -> APIError:
    return kind(
        f"the relay answered HTTP {status}",
        status=status,
        code="c",
        message="m",
        request_id="r",
        retry_after=2.0,
        verdict=verdict,
        advice="do something",
    )


EXAMPLES: list[LumaError] = [
    LumaError("plain"),
    LumaError("plain", task_id="t-1", advice="do this", verdict=Verdict.PASSING),
    ConfigurationError("no address", advice="set it"),
    ClientClosedError("closed"),
    TransportError("no answer", verdict=Verdict.PASSING),
    RequestTimeoutError("too slow", task_id="t-1", verdict=Verdict.PASSING),
    _api(APIError, 400),
    _api(AuthenticationError, 401),
    _api(PermissionDeniedError, 403),
    _api(QuotaExceededError, 402),
    _api(NotFoundError, 404, Verdict.UNCONFIRMED),
    _api(RateLimitError, 429, Verdict.SLOW_DOWN),
    _api(ServerError, 502, Verdict.PASSING),
    ProtocolError("another task", foreign=True, verdict=Verdict.PASSING),
    UncertainSubmitError(RequestTimeoutError("too slow", task_id="t-1", verdict=Verdict.PASSING)),
    UncertainSubmitError(ProtocolError("no task"), body='\n{"job_id":\x00"a/1"}', candidates=("a/1", "b\n")),
    GenerationFailedError(FAILED),
    WaitTimeoutError("t-1", waited=12.34, last=DREAMING, last_error=_api(ServerError, 502)),
    WaitTimeoutError("t-1", waited=0.0, last=None, last_error=None),
    DownloadError("cut off", reason="truncated", url="https://cdn.example/a.mp4", task_id="t-1", generation=DREAMING),
    JournalError("no room", path="batch.jsonl", task_id="t-1", advice="make some"),
]
_CASES = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)


def test_every_class_has_an_example_here() -> None:
    """A new class of error is tested like the others, or this fails."""
    classes = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LumaError)}

    assert {type(error) for error in EXAMPLES} == classes
    assert {kind.__name__ for kind in classes} <= set(luma_async.__all__)


def _state(error: LumaError) -> dict[str, object]:
    """Return the attributes, an error among them as its text: errors compare by identity."""
    return {name: str(value) if isinstance(value, LumaError) else value for name, value in vars(error).items()}


@_CASES
@pytest.mark.parametrize(
    "travel",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy],  # noqa: S301 - our own bytes
    ids=["pickle", "copy", "deepcopy"],
)
def test_an_error_travels_whole(error: LumaError, travel: Callable[[LumaError], LumaError]) -> None:
    """Class, text, arguments and attributes come out as they went in."""
    after = travel(error)

    assert type(after) is type(error)
    assert after is not error
    assert (str(after), repr(after), after.args) == (str(error), repr(error), error.args)
    assert _state(after) == _state(error)
    assert after.retryable is error.retryable


@_CASES
def test_each_waiter_gets_his_own(error: LumaError) -> None:
    """The copy names the task, says the rest the same, and leaves the first one alone."""
    before = _state(error)

    mine = error.for_task("t-9")

    assert type(mine) is type(error)
    assert mine is not error
    assert mine.task_id == "t-9"
    assert str(mine).startswith("task t-9: ")
    assert {**_state(mine), "task_id": before["task_id"]} == before == _state(error)


def test_a_copy_keeps_the_cause_and_shows_no_other() -> None:
    """What led to the error stays with each waiter's own, and nothing of where it was copied."""
    error, cause = LumaError("no"), ValueError("why")
    error.__cause__ = cause

    try:
        _ = dict[str, str]()["no such key"]
    except KeyError:
        mine = error.for_task("t")

    assert mine.__cause__ is cause
    assert mine.__suppress_context__
    assert mine.__traceback__ is None


@_CASES
def test_a_text_is_one_readable_line(error: LumaError) -> None:
    """It names the task, the summary and the advice, without an operating system's number or an escape."""
    text = str(error)

    assert error.summary in text
    assert error.advice in text
    assert text.isprintable()
    assert not text.startswith("[Errno")
    assert (f"task {error.task_id}: " in text) is (error.task_id is not None)


_UNKNOWN = (
    "it is not known whether the relay accepted the submit: no task; possible task ids: a, \\x1b; "
    'the answer: {"job_id":\\n"a"} '
    "(check the relay's log before you submit again: the relay may have accepted and charged it)"
)
_GOES_ON = "(the generation goes on at the relay: wait again for the same id)"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (LumaError("plain"), "plain"),
        (LumaError("plain", task_id="t", advice="try"), "task t: plain (try)"),
        (LumaError("plain", task_id="a\nb"), "task a\\nb: plain"),
        (LumaError("plain", task_id=""), "task : plain"),
        (UncertainSubmitError(ProtocolError("no task"), body='{"job_id":\n"a"}', candidates=("a", "\x1b")), _UNKNOWN),
        (GenerationFailedError(FAILED), "task t-1: the generation failed: \\x1b[31mno cats"),
        (
            WaitTimeoutError("t", waited=600.04, last=DREAMING, last_error=TransportError("no answer from a:1")),
            f"task t: not done after 600.0 s, last state 'dreaming\\n'; last error: no answer from a:1 {_GOES_ON}",
        ),
        (
            WaitTimeoutError("t", waited=1, last=None, last_error=None),
            "task t: not done after 1.0 s, no answer yet (wait again for the same id)",
        ),
    ],
)
def test_the_texts_say_what_happened(error: LumaError, text: str) -> None:
    """Word for word."""
    assert str(error) == text


@pytest.mark.parametrize(
    ("verdict", "retryable"),
    [(Verdict.FINAL, False), (Verdict.UNCONFIRMED, False), (Verdict.PASSING, True), (Verdict.SLOW_DOWN, True)],
)
def test_what_passes_can_be_retried(verdict: Verdict, retryable: bool) -> None:  # noqa: FBT001
    """And nothing else; without a verdict an error is final."""
    assert LumaError("x", verdict=verdict).retryable is retryable
    assert not LumaError("x").retryable


def test_a_failed_generation_carries_why() -> None:
    """The reason is fit to be shown; the generation has it as it came; a missing one is None."""
    error = GenerationFailedError(FAILED)

    assert error.generation is FAILED
    assert error.reason == "\\x1b[31mno cats"
    assert GenerationFailedError(DREAMING).reason is None
    assert "gave no reason" in str(GenerationFailedError(DREAMING))
    assert not error.retryable


def test_a_page_as_a_reason_is_what_the_page_says() -> None:
    """The message has no HTML; the generation keeps the relay's text, byte for byte."""
    page = "<html><head><title>502 Bad Gateway</title></head></html>"
    error = GenerationFailedError(Generation(id="t", state=State.FAILED, state_text="failed", failure_reason=page))

    assert (error.summary, error.reason) == ("the generation failed: 502 Bad Gateway", "502 Bad Gateway")
    assert error.generation.failure_reason == page


def test_a_timed_out_wait_can_be_taken_up_again() -> None:
    """It carries what was last seen and what last went wrong, and is worth another try."""
    trouble = _api(ServerError, 502)
    error = WaitTimeoutError("t", waited=5.0, last=DREAMING, last_error=trouble)

    assert (error.task_id, error.waited, error.last, error.last_error) == ("t", 5.0, DREAMING, trouble)
    assert error.retryable


_BRANCH = re.compile(r"^(?P<indent>(?:│  |   )*)(?:├─ |└─ )?(?P<name>[A-Z]\w+Error)\b")


def _drawn(docstring: str) -> dict[str, str | None]:
    """Return each class in the drawing with the one that it hangs on."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in docstring.splitlines():
        match = _BRANCH.match(line)
        if match:
            depth = 0 if line == line.lstrip("│├└─ ") else len(match["indent"]) // 3 + 1
            path = [*path[:depth], match["name"]]
            parents[match["name"]] = path[-2] if depth else None
    return parents


def _real() -> dict[str, str | None]:
    kinds = [LumaError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    ours = {kind.__name__: kind for kind in kinds}
    return {
        name: next((base.__name__ for base in kind.__bases__ if issubclass(base, LumaError)), None)
        for name, kind in ours.items()
    }


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    """Drawn at the top of the module, class by class, each under its base."""
    assert _drawn(errors.__doc__ or "") == _real()
