"""Whose backlog is read."""

from __future__ import annotations

from types import SimpleNamespace

from faust.types import TP

from streams.sessions import CaughtUp

ONE, OTHER, ELSEWHERE = TP("t", 0), TP("t", 1), TP("u", 1)


class Consumer:
    def __init__(self) -> None:
        self.assigned = {ONE, OTHER, ELSEWHERE}
        self.ends = {ONE: 10, OTHER: 0}
        self.at = {ONE: 4, OTHER: 0}

    def assignment(self) -> set[TP]:
        return self.assigned

    async def highwaters(self, *places: TP) -> dict[TP, int]:
        return {place: self.ends[place] for place in places}

    async def position(self, place: TP) -> int:
        return self.at[place]


async def test_a_partition_is_caught_up_one_look_after_what_was_there_has_been_fetched() -> None:
    consumer = Consumer()
    reading = CaughtUp(SimpleNamespace(consumer=consumer), "t")
    assert await reading.partitions() == {0: False, 1: True}
    consumer.ends[ONE] = consumer.at[ONE] = 10
    assert await reading.partitions() == {0: False, 1: True}
    # More that comes is no backlog.
    consumer.ends[ONE] = 99
    assert await reading.partitions() == {0: True, 1: True}


async def test_a_partition_that_comes_back_is_looked_at_anew() -> None:
    consumer = Consumer()
    consumer.at[ONE] = 10
    reading = CaughtUp(SimpleNamespace(consumer=consumer), "t")
    await reading.partitions()
    consumer.assigned = {OTHER, ELSEWHERE}
    assert await reading.partitions() == {1: True}
    consumer.assigned, consumer.ends[ONE] = {ONE, OTHER}, 20
    assert await reading.partitions() == {0: False, 1: True}
