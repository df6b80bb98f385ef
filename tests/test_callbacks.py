"""What the user's own code raises, and how much of that goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from luma_async._listeners import Listeners, log, presentable, raise_if_exit
from luma_async.errors import LumaError
from luma_async.events import CooldownEnded, Event

TOLD = CooldownEnded(seconds=1.0)


class Odd(BaseException):
    """No Exception, and nothing that ends a program."""


HARMLESS = [
    ZeroDivisionError(),
    StopIteration(),
    asyncio.CancelledError(),
    GeneratorExit(),
    Odd(),
    ExceptionGroup("several", [KeyError()]),
    BaseExceptionGroup("several", [asyncio.CancelledError(), KeyError()]),
]
ENDS = [
    KeyboardInterrupt(),
    SystemExit(3),
    BaseExceptionGroup("several", [KeyError(), KeyboardInterrupt()]),
    BaseExceptionGroup("outer", [Odd(), BaseExceptionGroup("inner", [SystemExit(3)])]),
]


@pytest.mark.parametrize("raised", HARMLESS, ids=repr)
def test_whatever_a_listener_raises_others_are_told(raised: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """And the log says it, with what was raised."""
    heard: list[Event] = []

    def complain(_: Event) -> None:
        raise raised

    Listeners([complain, heard.append]).tell(TOLD)

    assert heard == [TOLD]
    assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [raised]


@pytest.mark.parametrize("raised", ENDS, ids=repr)
def test_a_listener_may_end_the_program(raised: BaseException) -> None:
    """Out of a group comes what ends it, since an event loop goes on after a group."""

    def end(_: Event) -> None:
        raise raised

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        Listeners([end]).tell(TOLD)


@pytest.mark.parametrize("raised", HARMLESS, ids=repr)
def test_what_comes_out_is_never_taken_for_something_else(raised: BaseException) -> None:
    """An Exception is itself, unless no future takes it; of anything else there is an error with it as its cause."""
    error = presentable(raised, "the callback")

    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        assert error is raised
    else:
        assert type(error) is LumaError
        assert error.summary == f"the callback raised {type(raised).__name__}"
        assert error.__cause__ is raised


@pytest.mark.parametrize("raised", ENDS, ids=repr)
def test_what_ends_the_program_never_becomes_an_error(raised: BaseException) -> None:
    """Of the user's other callbacks neither."""
    for heed in (raise_if_exit, lambda raised: presentable(raised, "the callback")):
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            heed(raised)


class Broken(logging.Handler):
    """A handler of the user's that raises."""

    raised: BaseException = ZeroDivisionError()

    def emit(self, _: logging.LogRecord) -> None:
        """Raise."""
        raise self.raised


@pytest.fixture
def handler() -> Iterator[Broken]:
    """A handler of our log."""
    broken = Broken()
    logger = logging.getLogger("luma_async")
    logger.addHandler(broken)
    yield broken
    logger.removeHandler(broken)


@pytest.mark.parametrize("raised", HARMLESS, ids=repr)
def test_a_log_that_raises_harms_nobody(
    raised: BaseException, handler: Broken, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it raises is shown as logging itself shows it."""
    handler.raised = raised

    log(logging.WARNING, "task %s: trouble", "a")

    shown = capsys.readouterr().err
    assert shown.startswith("--- Logging error ---")
    assert type(raised).__name__ in shown
    assert "task %s: trouble" in shown


def test_a_log_that_raises_does_so_where_a_listener_has_raised(
    handler: Broken, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither of them harms anybody."""
    heard: list[Event] = []

    def complain(_: Event) -> None:
        raise Odd

    Listeners([complain, heard.append]).tell(TOLD)

    assert heard == [TOLD]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_log_may_end_the_program(handler: Broken) -> None:
    """As a listener may."""
    handler.raised = BaseExceptionGroup("several", [SystemExit(3)])

    with pytest.raises(SystemExit):
        log(logging.WARNING, "trouble")
