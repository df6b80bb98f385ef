"""The pauses of a batch of submits, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from luma_async import RateLimitError
from luma_async.cli.pauses import Pauses
from tests.kit import limited
from tests.virtual_time import now, run


def hinted(seconds: float) -> RateLimitError:
    """Return a 429 with a hint."""
    return RateLimitError("no", status=429, retry_after=seconds)


def test_pauses_grow_to_a_minute_and_start_anew_after_a_submit() -> None:
    """Each is about twice as long as the one before."""

    async def main() -> list[float]:
        pauses, ends = Pauses(), []
        for step in range(9):
            if step == 8:
                pauses.submitted()
            started = now()
            await pauses.after(limited())
            ends.append(now() - started)
        return ends

    *grown, last = run(main())

    assert grown == [pytest.approx(min(60, 2 * 2**step), rel=0.21) for step in range(8)]
    assert max(grown) <= 60
    assert last < 3


def test_a_hint_is_the_pause(capsys: pytest.CaptureFixture[str]) -> None:
    """However long it is; it is said once, with the reason."""

    async def main() -> float:
        await Pauses().after(hinted(300.0))
        return now()

    assert run(main()) == 300.0
    assert capsys.readouterr().err == "luma-async: not submitted for now: no; the next try is in 300 s\n"


def test_refusals_in_a_pause_share_it_and_keep_their_hint(capsys: pytest.CaptureFixture[str]) -> None:
    """One pause for all; a longer hint moves its end for all."""

    async def main() -> list[float]:
        pauses = Pauses()

        async def refused(at: float, refusal: RateLimitError) -> float:
            await asyncio.sleep(at)
            await pauses.after(refusal)
            return now()

        return list(await asyncio.gather(refused(0, hinted(10.0)), refused(5, limited()), refused(6, hinted(30.0))))

    assert run(main()) == [36.0] * 3
    assert capsys.readouterr().err.count("next try") == 1


def test_cancelling_ends_a_pause_at_once() -> None:
    """As a signal does."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await Pauses().after(hinted(300.0))
        return now()

    assert run(main()) == 1.0
