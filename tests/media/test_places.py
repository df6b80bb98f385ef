"""Who may download now: in virtual time, without a byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from attrs import define, field

from luma_async._media.places import GivenUpError, Place, Places
from tests import virtual_time

T = TypeVar("T")

DRIP = 5_000.0
FAST = 1e6
"""Bytes per second."""


@define(eq=False)
class Trial:
    """Downloads of some bytes at some speed, as a downloader runs them."""

    places: Places = field(factory=lambda: Places(8))
    starts: list[tuple[str, float]] = field(factory=list)
    """Names and times."""
    ends: dict[str, float] = field(factory=dict)
    running: int = 0
    most: int = 0

    async def download(self, name: str, speed: float, size: float, host: str = "a") -> None:
        """Download *size* bytes, again from the start where the place was given up."""
        has_given_up = False
        while True:
            try:
                async with self.places.taken(host, is_slow=has_given_up) as place:
                    self.starts.append((name, virtual_time.now()))
                    self.running += 1
                    self.most = max(self.most, self.running)
                    try:
                        await self._receive(place, speed, size)
                    finally:
                        self.running -= 1
            except GivenUpError:
                has_given_up = True
            else:
                self.ends[name] = virtual_time.now()
                return

    async def _receive(self, place: Place, speed: float, size: float) -> None:
        stored = 0.0
        while stored < size:
            await asyncio.sleep(0.1)
            stored += speed / 10
            place.note(int(stored), int(size))

    def times(self, name: str) -> int:
        """Return how often a download has started."""
        return sum(started == name for started, _ in self.starts)


def tried(*downloads: tuple[str, float, float, str], limit: int = 8) -> Trial:
    """Run *downloads*, all asked for at once in their order, and return what happened."""

    async def main() -> Trial:
        trial = Trial(Places(limit))
        await asyncio.gather(*(trial.download(*each) for each in downloads))
        assert not trial.places._taken
        assert not trial.places._waiting
        assert not trial.places._per_host
        return trial

    return virtual_time.run(main())


def many(prefix: str, count: int, speed: float, size: float, host: str = "a") -> list[tuple[str, float, float, str]]:
    """Return some equal downloads."""
    return [(f"{prefix}{number}", speed, size, host) for number in range(count)]


@pytest.mark.parametrize("host", ["a", "b"])
@pytest.mark.parametrize("limit", [2, 3, 8])
def test_slow_downloads_leave_healthy_ones_their_share(host: str, limit: int) -> None:
    """Ten healthy files are there within seconds, at the same host too, while more slow ones than places go on."""
    trial = tried(*many("slow", limit, DRIP, 1e6), *many("ok", 10, FAST, 1e5, host), limit=limit)

    assert max(trial.ends[f"ok{number}"] for number in range(10)) < 5
    assert trial.most <= limit


def test_a_crowd_of_slow_downloads_holds_up_no_other_host() -> None:
    """A hundred dripping files of one host wait, and a file of another host starts next."""
    trial = tried(*many("slow", 100, DRIP, 1e5, "a"), *many("ok", 3, FAST, 1e5, "b"))

    assert max(trial.ends[f"ok{number}"] for number in range(3)) < 5


def test_a_server_that_sends_nothing_is_slow() -> None:
    """Hung connections leave places as dripping ones do."""
    trial = tried(*many("hung", 8, 1.0, 30.0), ("ok", FAST, 1e5, "a"))

    assert trial.ends["ok"] < 5


def test_every_slow_download_ends_and_starts_again_only_once_or_twice() -> None:
    """Giving up costs seconds, and none of many is put off forever."""
    trial = tried(*many("slow", 40, DRIP, 1e5))

    assert len(trial.ends) == 40
    assert max(trial.times(f"slow{number}") for number in range(40)) <= 3


def test_healthy_downloads_without_an_end_do_not_put_a_slow_one_off() -> None:
    """One that gave up goes on in a place of its own, while healthy ones still wait for theirs."""
    trial = tried(*many("slow", 8, DRIP, 1e5), *many("ok", 400, FAST, 1e6))

    gave_up = [name for name in trial.ends if trial.times(name) > 1]
    assert gave_up
    assert min(trial.ends[name] for name in gave_up) < trial.ends["ok399"]


def test_slow_downloads_go_on_where_nobody_waits() -> None:
    """All eight places are theirs, and none starts again."""
    trial = tried(*many("slow", 8, DRIP, 1e5))

    assert len(trial.starts) == 8


def test_one_past_its_half_is_left_alone() -> None:
    """It ends sooner than it would when it started again."""

    async def main() -> Trial:
        trial = Trial()
        slow = [asyncio.create_task(trial.download(f"slow{n}", DRIP, 1e5)) for n in range(8)]
        await asyncio.sleep(11)
        await asyncio.gather(trial.download("ok", FAST, 1e5), *slow)
        return trial

    trial = virtual_time.run(main())

    assert len(trial.starts) == 9


def test_a_file_that_gets_its_name_keeps_its_place() -> None:
    """A block that names the file is never ended in the middle, however long the disk takes."""

    async def main() -> list[str]:
        places, ends = Places(2), list[str]()

        async def naming(name: str) -> None:
            async with places.taken("a") as place:
                with place.kept():
                    await asyncio.sleep(10)
                ends.append(name)

        async with asyncio.TaskGroup() as group:
            for name in ("one", "two", "three"):
                group.create_task(naming(name))
        return ends

    assert set(virtual_time.run(main())) == {"one", "two", "three"}


def test_a_place_is_kept_though_it_was_to_be_given_up_in_the_same_moment() -> None:
    """Otherwise a file could get its name, and its download start again."""

    async def main() -> bool:
        async with Places(2).taken("a") as place:
            place.give_up()
            with place.kept():
                await asyncio.sleep(1)
            return True

    assert virtual_time.run(main())


def test_a_free_place_goes_to_the_host_with_the_fewest() -> None:
    """Two hosts share the places evenly, whichever asked first."""
    trial = tried(*many("a", 20, FAST, 1e6, "a"), *many("b", 20, FAST, 1e6, "b"))

    assert sum(name.startswith("b") for name, _ in trial.starts[8:16]) >= 4


def test_one_place_is_never_taken_away() -> None:
    """With a limit of one, there is no half to leave."""
    trial = tried(("slow", DRIP, 1e5, "a"), ("ok", FAST, 1e5, "a"), limit=1)

    assert [name for name, _ in trial.starts] == ["slow", "ok"]


@pytest.mark.parametrize("moment", [0.0, 0.05, 2.3, 3.0])
def test_cancelling_gives_the_place_to_the_next(moment: float) -> None:
    """Waiting, running or giving up: nothing is left of a download that was cancelled."""

    async def main() -> int:
        trial = Trial(Places(2))
        coming = [asyncio.create_task(trial.download(f"slow{n}", DRIP, 1e6)) for n in range(6)]
        await asyncio.sleep(moment)
        for task in coming:
            task.cancel()
        await asyncio.wait(coming)
        await asyncio.wait_for(trial.download("ok", FAST, 1e5), 5)
        return sum(task.cancelled() for task in coming)

    assert virtual_time.run(main()) == 6


def test_a_place_is_free_again_when_its_download_is_cancelled_in_the_same_moment() -> None:
    """It was granted, and cancelled before it could run."""

    async def main() -> None:
        trial = Trial(Places(1))
        async with trial.places.taken("a"):
            waiting = asyncio.create_task(trial.download("cancelled", FAST, 1e5))
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.wait_for(trial.download("ok", FAST, 1e5), 5)
        assert [name for name, _ in trial.starts] == ["ok"]

    virtual_time.run(main())


@pytest.mark.parametrize("error", [TimeoutError, asyncio.CancelledError, ValueError])
def test_an_error_of_the_block_comes_out_as_it_is(error: Callable[[], BaseException]) -> None:
    """A callback's TimeoutError, for example, does not look like a place that was given up."""
    raised = error()

    async def main() -> BaseException:
        with pytest.raises(type(raised)) as caught:
            async with Places(2).taken("a"):
                raise raised
        return caught.value

    assert virtual_time.run(main()) is raised
