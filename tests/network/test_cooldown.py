"""The shared pause, alone and under many ids, in virtual time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses

from luma_async import Limits, LumaClient, Outcome, PollPolicy, RateLimitError
from luma_async._network.cooldown import Cooldown
from tests.kit import KEY
from tests.virtual_time import now, run

RELAY = "https://relay.example"
POLICY = PollPolicy()
MIDDLE = 0.5
_LATENCY = 0.1
"""Seconds: many requests are under way before the first of them is refused."""


def cooldown(policy: PollPolicy = POLICY) -> Cooldown:
    """Return one whose jitter is always the middle."""
    return Cooldown(policy, lambda: MIDDLE)


@pytest.mark.parametrize(
    ("hint", "pause"),
    [
        pytest.param(None, 2.2, id="our own backoff"),
        pytest.param(5.0, 5.0, id="the relay's hint"),
        pytest.param(0.0, 2.2, id="no hint to speak of"),
        pytest.param(0.5, 2.0, id="below the interval"),
        pytest.param(3600.0, 15.0, id="never above the maximum"),
    ],
)
def test_pause_is_the_hint_or_our_backoff_within_bounds(hint: float | None, pause: float) -> None:
    """The first to come after a complaint waits as long as the relay wants, but at most the maximum."""

    async def main() -> float:
        gate = cooldown()
        gate.slow_down(hint, probing=False)
        assert await gate.enter()
        return now()

    assert run(main()) == pytest.approx(pause, abs=0.25 if hint in (None, 0.0) else 0.001)


def test_a_pause_has_one_beginning_and_one_end() -> None:
    """Complaints of those who were under way begin none; the end tells the time since the first complaint."""

    async def main() -> tuple[list[float | None], list[float | None]]:
        gate = cooldown()
        ends = [gate.probe_ended(accepted=True)]
        begins = [gate.slow_down(5.0, probing=False) for _ in range(3)]
        await gate.enter()
        begins.append(gate.slow_down(3.0, probing=True))
        ends.append(gate.probe_ended(accepted=False))
        await gate.enter()
        return begins, [*ends, gate.probe_ended(accepted=True), gate.probe_ended(accepted=True)]

    begins, ends = run(main())

    assert begins == [5.0, None, None, 3.0]
    assert ends == [None, None, pytest.approx(8.0), None]


def test_open_gate_lets_everyone_through_at_once() -> None:
    """After a good first answer nobody waits and nobody is a probe."""

    async def main() -> list[object]:
        gate = cooldown()
        first = await gate.enter()
        gate.probe_ended(accepted=True)
        return [first, await gate.enter(), await gate.enter(), now()]

    assert run(main()) == [True, False, False, 0.0]


def test_everybody_waits_for_the_first_answer_but_not_long() -> None:
    """A hundred begin with one request; where it gets no answer, the others go within a second or so."""

    async def main() -> list[float]:
        gate = cooldown()
        passed = []

        async def pass_through() -> None:
            if await gate.enter():
                await asyncio.sleep(30.0)
                gate.probe_ended(accepted=True)
            passed.append(now())

        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(pass_through())
        return passed

    *others, first = run(main())

    assert first == 30.0
    assert set(others) == {1.0}


def test_complaints_of_one_burst_are_one_complaint() -> None:
    """Sixty requests under way that are all refused do not make the pause sixty steps longer."""

    async def main() -> float:
        gate = cooldown()
        for _ in range(60):
            gate.slow_down(None, probing=False)
        await gate.enter()
        return now()

    assert run(main()) < 3.0


def test_a_slow_first_answer_does_not_undo_a_complaint() -> None:
    """The first request is a probe, too; what another one was told meanwhile still holds."""

    async def main() -> float:
        gate = cooldown()
        assert await gate.enter()
        began = now()
        gate.slow_down(10.0, probing=False)
        gate.probe_ended(accepted=True)
        assert not gate.is_open
        assert await gate.enter()
        return now() - began

    assert run(main()) == pytest.approx(10.0)


def test_a_refused_probe_makes_the_next_pause_longer() -> None:
    """Our own backoff grows from probe to probe, and starts afresh after a good answer."""

    async def main() -> list[float]:
        gate = cooldown()
        gate.probe_ended(accepted=True)
        pauses = []
        gate.slow_down(None, probing=False)
        for _ in range(4):
            began = now()
            assert await gate.enter()
            pauses.append(now() - began)
            gate.slow_down(None, probing=True)
            gate.probe_ended(accepted=False)
        assert await gate.enter()
        gate.probe_ended(accepted=True)
        gate.slow_down(None, probing=False)
        began = now()
        await gate.enter()
        return [*pauses, now() - began]

    *growing, afresh = run(main())

    assert growing == sorted(growing)
    assert growing[-1] > 2 * growing[0]
    assert afresh == pytest.approx(growing[0], abs=0.01)


def test_a_pause_of_our_own_choice_and_the_release_after_it_take_one_maximum() -> None:
    """However many wait after however many complaints, all have gone out in the longest pause of the policy."""

    async def main() -> float:
        gate = Cooldown(POLICY, lambda: 1.0)
        for _ in range(20):
            gate.slow_down(None, probing=True)
        began = now()

        async def pass_through() -> None:
            if await gate.enter():
                gate.probe_ended(accepted=True)

        async with asyncio.TaskGroup() as group:
            for _ in range(1000):
                group.create_task(pass_through())
        return now() - began

    assert run(main()) == pytest.approx(POLICY.max_interval)


def test_one_probe_goes_first_and_the_rest_wait_for_its_answer() -> None:
    """Of a hundred, one asks; the others go out spread over time once it was welcome."""

    async def main() -> tuple[list[bool], list[float]]:
        gate = Cooldown(POLICY, iter(number / 100 for number in range(1000)).__next__)
        probes: list[bool] = []
        passed: list[float] = []

        async def pass_through() -> None:
            probing = await gate.enter()
            probes.append(probing)
            if probing:
                await asyncio.sleep(10.0)
                gate.probe_ended(accepted=True)
            else:
                passed.append(now())

        gate.slow_down(2.0, probing=False)
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(pass_through())
        return probes, passed

    probes, passed = run(main())

    assert sum(probes) == 1
    assert min(passed) >= 12.0
    assert max(passed) - min(passed) > 3.0


def test_a_cancelled_probe_leaves_its_place_to_another() -> None:
    """The gate does not stay shut because the one who was to knock has gone."""

    async def main() -> list[float]:
        gate = cooldown()
        gate.slow_down(5.0, probing=False)
        first = asyncio.create_task(gate.enter())
        second = asyncio.create_task(gate.enter())
        await asyncio.sleep(1.0)
        first.cancel()
        probing = await second
        return [probing, now()]

    assert run(main()) == [True, 5.0]


# --- through the client ---


Answers = Callable[[float, str], CallbackResult]


def wait_for_all(ids: list[str], answers: Answers, limits: Limits | None = None) -> tuple[list[Outcome], list[float]]:
    """Wait for *ids* at a relay that answers with *answers(time, id)*; return outcomes and the times of requests.

    The wire is replaced, so that there are no sockets and the clock can be virtual.
    """
    asked: list[float] = []

    async def answer(url: Any, **_: Any) -> CallbackResult:
        asked.append(asyncio.get_running_loop().time())
        at = asked[-1]
        await asyncio.sleep(_LATENCY)
        return answers(at, url.path.rpartition("/")[2])

    async def main() -> list[Outcome]:
        async with LumaClient(RELAY, KEY, limits=limits or Limits(), batch="never") as luma:
            return await luma.wait_all(ids, timeout=None)

    with aioresponses() as relay:
        relay.get(re.compile(RELAY), callback=answer, repeat=True)
        return run(main()), asked


def done(task_id: str) -> CallbackResult:
    """Return a completed generation."""
    return CallbackResult(payload={"id": task_id, "state": "completed", "video": {"url": "https://cdn.example/v"}})


def test_many_ids_behind_a_429_ask_a_handful_of_times_until_it_is_over() -> None:
    """Two hundred ids make one request, and then one probe at a time."""

    def answers(at: float, task_id: str) -> CallbackResult:
        return CallbackResult(status=429) if at < 60.0 else done(task_id)

    outcomes, asked = wait_for_all([f"task-{number}" for number in range(200)], answers)

    refused = [at for at in asked if at < 60.0]
    assert all(outcome.ok for outcome in outcomes)
    assert len(refused) <= 10
    assert max(asked) - 60.0 <= POLICY.max_interval + 0.01


def test_after_a_429_there_is_no_burst() -> None:
    """When the relay is willing again, no second sees more than twice the even share of a third of the maximum."""

    def answers(at: float, task_id: str) -> CallbackResult:
        return CallbackResult(status=429, headers={"Retry-After": "5"}) if at < 20.0 else done(task_id)

    _, asked = wait_for_all([f"task-{number}" for number in range(150)], answers)

    after = [at for at in asked if at >= 20.0]
    busiest = max(sum(1 for at in after if second <= at < second + 1) for second in range(20, 60))
    assert len(after) == 150
    assert busiest <= 2 * 150 / (POLICY.max_interval / 3)


def test_one_ids_long_hint_delays_the_others_by_the_maximum_at_most() -> None:
    """Retry-After: 3600 for one id is that id's matter."""

    def answers(at: float, task_id: str) -> CallbackResult:
        if task_id == "told-off" and at < 3600.0:
            return CallbackResult(status=429, headers={"Retry-After": "3600"})
        return done(task_id) if at > 4.0 else CallbackResult(payload={"id": task_id, "state": "pending"})

    outcomes, _ = wait_for_all(["a", "told-off", "b"], answers)

    a, told_off, b = outcomes
    assert told_off.elapsed >= 3600.0
    assert max(a.elapsed, b.elapsed) < 2 * POLICY.max_interval


def test_503_with_a_hint_pauses_all_and_503_without_does_not() -> None:
    """Only a relay that says when to come back slows down the ids it did not refuse."""

    def answers_with(hint: dict[str, str]) -> Any:
        def answers(at: float, task_id: str) -> CallbackResult:
            if task_id == "first" and at < 10.0:
                return CallbackResult(status=503, headers=hint)
            return done(task_id) if at > 2.0 else CallbackResult(payload={"id": task_id, "state": "pending"})

        return answers

    (_, unharmed), _ = wait_for_all(["first", "second"], answers_with({}))
    (_, paused), _ = wait_for_all(["first", "second"], answers_with({"Retry-After": "10"}))

    assert unharmed.elapsed < 5.0
    assert paused.elapsed >= 10.0


def test_a_probe_that_is_cancelled_while_it_waits_for_its_turn_leaves_its_place_to_another() -> None:
    """Slowed down by the relay and by our own rate, one who leaves on his way keeps nobody from going."""

    async def answer(url: Any, **_: Any) -> CallbackResult:
        refused = now() < 1.0
        return CallbackResult(status=429) if refused else done(url.path.rpartition("/")[2])

    async def main() -> Outcome:
        async with LumaClient(RELAY, KEY, limits=Limits(requests_per_second=0.1), batch="never") as luma:
            stays = asyncio.create_task(luma.wait_all(["a"], timeout=100.0))
            await asyncio.sleep(0)
            probe = asyncio.create_task(luma.wait_all(["b"], timeout=100.0))
            await asyncio.sleep(5.0)
            probe.cancel()
            return (await stays)[0]

    with aioresponses() as relay:
        relay.get(re.compile(RELAY), callback=answer, repeat=True)

        assert run(main()).ok


def test_requests_per_second_limits_everything() -> None:
    """Twenty ids at two requests a second take ten seconds, whatever their number."""
    outcomes, asked = wait_for_all(
        [f"task-{n}" for n in range(20)], lambda _, task_id: done(task_id), Limits(requests_per_second=2.0)
    )

    assert all(outcome.ok for outcome in outcomes)
    assert [b - a for a, b in pairwise(asked)] == pytest.approx([0.5] * 19)


def test_single_look_behind_a_429_ends_with_it() -> None:
    """get_generation asks three times at most, and says why it was refused."""

    async def main() -> tuple[object, float]:
        async with LumaClient(RELAY, KEY) as luma:
            with pytest.raises(RateLimitError) as caught:
                await luma.get_generation("a")
            return caught.type, now()

    with aioresponses() as relay:
        relay.get(re.compile(RELAY), status=429, repeat=True)
        kind, elapsed = run(main())

    assert kind is RateLimitError
    assert elapsed <= Limits().request_timeout


# --- refusals that pass (architecture, rule 3) ---

_NGINX = b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body></body>\r\n</html>\r\n"


def behind_a_limit(status: int) -> Answers:
    """Return the answers of a relay whose proxy passes one request a second on, and whose tasks take half a minute."""
    free_at = 0.0

    def answers(at: float, task_id: str) -> CallbackResult:
        nonlocal free_at
        if at < free_at:
            return CallbackResult(status=status, body=_NGINX, content_type="text/html")
        free_at = at + 1.0
        return done(task_id) if at > 30.0 else CallbackResult(payload={"id": task_id, "state": "pending"})

    return answers


@pytest.mark.slow
def test_a_limit_that_answers_503_costs_no_more_requests_than_one_that_answers_429() -> None:
    """Two hundred ids behind one request a second all complete, though that takes minutes."""
    ids = [f"task-{number}" for number in range(200)]

    (usual, asked_usually), (pages, asked) = (wait_for_all(ids, behind_a_limit(status)) for status in (429, 503))

    assert [outcome.error for outcome in [*usual, *pages] if not outcome.ok] == []
    assert len(asked) <= 1.3 * len(asked_usually)


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
@pytest.mark.parametrize("body", [{"error": {"message": "no"}}, {"detail": "Not authenticated"}])
def test_seconds_of_refusals_after_good_answers_end_nothing(status: int, body: dict[str, Any]) -> None:
    """Every poll of every id is refused for five seconds, whichever words the relay has."""

    def answers(at: float, task_id: str) -> CallbackResult:
        if 4.0 < at < 9.0:
            return CallbackResult(status=status, payload=body)
        return done(task_id) if at > 15.0 else CallbackResult(payload={"id": task_id, "state": "pending"})

    outcomes, asked = wait_for_all([f"task-{number}" for number in range(10)], answers)

    assert any(4.0 < at < 9.0 for at in asked)
    assert [outcome.error for outcome in outcomes if not outcome.ok] == []
