from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from types import SimpleNamespace

import pytest

from streams.observing.metrics import REGISTRY, tally_of
from streams.observing.stalls import Place, Standing
from streams.observing.watchdog import Watchdog, WorkerStuck
from topics.connection import BrokerUnavailable

PLACE = Place("me.some.topic", 1)


class Offsets:
    """What the broker would say; `standing` is asked at each look."""

    def __init__(self, standing: Callable[[int], Standing], *, records: bool = True, settled: bool = True) -> None:
        self.looks = 0
        self.looked_for: list[tuple[Place, Standing]] = []
        self._standing, self._records, self._settled = standing, records, settled

    def standings(self, group: str, places: Collection[Place]) -> dict[Place, Standing]:
        self.looks += 1
        return {place: self._standing(self.looks) for place in places}

    def is_settled(self, group: str) -> bool:
        self.looks += 1
        return self._settled

    def has_records(self, place: Place, standing: Standing) -> bool:
        self.looked_for.append((place, standing))
        return self._records


def watchdog(offsets: Offsets, *places: Place, limit_s: float = 0.02) -> Watchdog:
    app = SimpleNamespace(
        conf=SimpleNamespace(id="me.group"),
        consumer=SimpleNamespace(assignment=lambda: set(places)),
        agents=SimpleNamespace(human_tracebacks=lambda: "here"),
    )
    return Watchdog([app], offsets, limit_s, "me")  # type: ignore[arg-type]


async def until(true: Callable[[], bool], task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(60):
        while not true() and not task.done():
            await asyncio.sleep(0.001)


async def survives(offsets: Offsets, *places: Place, looks: int = 40) -> bool:
    """Whether the worker is left alone for so many looks, ten times the limit."""
    task = asyncio.create_task(watchdog(offsets, *places).run())
    await until(lambda: offsets.looks >= looks, task)
    alive = not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return alive


async def test_lag_without_progress_ends_the_worker_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    offsets = Offsets(lambda look: Standing(3, 10))
    with pytest.raises(WorkerStuck, match=r"^me\.some\.topic is 7 records behind, and none was acknowledged for 0 s"):
        await asyncio.wait_for(watchdog(offsets, PLACE).run(), 20)
    assert "agents of me.group:\nhere" in caplog.text
    assert REGISTRY.get_sample_value("throughbeat_lag_records", {"topic": "some.topic", "partition": "1"}) == 7


async def test_worker_that_moves_is_left_alone() -> None:
    assert await survives(Offsets(lambda look: Standing(look, 10_000)), PLACE)


async def test_worker_whose_store_is_away_is_left_alone_until_delivery_gives_up() -> None:
    tally = tally_of("some.topic")
    with tally.patience():
        tally.tried_again()
        assert await survives(Offsets(lambda look: Standing(3, 10)), PLACE)
    assert not await survives(Offsets(lambda look: Standing(3, 10)), PLACE)


async def test_offsets_without_a_record_are_no_work() -> None:
    offsets = Offsets(lambda look: Standing(3, 10), records=False)
    assert await survives(offsets, PLACE)
    # It was looked once, and the lag is gone.
    assert offsets.looked_for == [(PLACE, Standing(3, 10))]
    assert REGISTRY.get_sample_value("throughbeat_lag_records", {"topic": "some.topic", "partition": "1"}) == 0


async def test_nobody_is_blamed_while_kafka_is_away() -> None:
    def sometimes(look: int) -> Standing:
        if look % 2 == 0:  # a look counts twice its time at most, so one alone is never the limit
            raise BrokerUnavailable("gone")
        return Standing(3, 10)

    assert await survives(Offsets(sometimes), PLACE)


async def test_worker_without_partitions_is_idle_when_its_group_is_settled_and_stuck_when_it_is_not() -> None:
    assert await survives(Offsets(lambda look: Standing(0, 0), settled=True))
    assert not await survives(Offsets(lambda look: Standing(0, 0), settled=False))
