from __future__ import annotations

import asyncio

import pytest

from streams.errors import Overloaded
from streams.turns import Turns


class Clock:
    """The event loop's clock, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now_s)


class Worker:
    """Somebody who wants a turn, and works until told to end."""

    def __init__(self, turns: Turns) -> None:
        self.state = "waiting"
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._work(turns))

    async def _work(self, turns: Turns) -> None:
        try:
            async with turns.turn():
                self.state = "working"
                await self._end.wait()
                self.state = "done"
        except Overloaded:
            self.state = "turned away"

    async def end(self) -> None:
        self._end.set()
        await self.task
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def start(turns: Turns, count: int) -> list[Worker]:
    workers = [Worker(turns) for _ in range(count)]
    await settle()
    return workers


def states(workers: list[Worker]) -> list[str]:
    return [one.state for one in workers]


async def test_no_more_than_allowed_work_at_once_and_the_first_to_come_is_the_next() -> None:
    workers = await start(Turns(2), 4)
    assert states(workers) == ["working", "working", "waiting", "waiting"]
    await workers[1].end()
    assert states(workers) == ["working", "done", "working", "waiting"]
    for at in (0, 2, 3):
        await workers[at].end()
    assert states(workers) == ["done"] * 4


async def test_burst_is_waited_for_and_standing_queue_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    turns = Turns(1, burst_s=0.1, hurry_s=0.02)
    workers = await start(turns, 3)
    clock.now_s += 0.09
    await workers[0].end()
    assert states(workers) == ["done", "working", "waiting"], "a burst of 90 ms"
    late = await start(turns, 2)
    clock.now_s += 0.015
    await workers[1].end()
    assert states(workers)[2] == "turned away", "105 ms in a queue that never emptied"
    assert states(late) == ["waiting", "working"], "15 ms are within the hurry, and the last to come is the next"
    clock.now_s += 0.01
    await late[1].end()
    assert states(late) == ["turned away", "done"], "25 ms are not"


async def test_queue_that_was_emptied_by_turning_away_is_no_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    turns = Turns(1, burst_s=0.1, hurry_s=0.02)
    first, second = await start(turns, 2)
    clock.now_s += 0.11
    await first.end()
    assert second.state == "turned away"
    (third,) = await start(turns, 1)
    waiting = await start(turns, 2)
    clock.now_s += 0.03
    await third.end()
    assert states(waiting) == ["turned away"] * 2, "30 ms, in a burst they would have been let in"
    clock.now_s += 0.11
    (fourth,) = await start(turns, 1)
    (late,) = await start(turns, 1)
    clock.now_s += 0.03
    await fourth.end()
    assert late.state == "working", "nobody was turned away for as long as a burst lasts"
    await late.end()


async def test_who_gives_up_while_waiting_takes_no_turn() -> None:
    turns = Turns(1)
    workers = await start(turns, 3)
    workers[1].task.cancel()
    await settle()
    await workers[0].end()
    assert workers[2].state == "working"
    await workers[2].end()
    (after,) = await start(turns, 1)
    assert after.state == "working"
    await after.end()


async def test_turn_of_who_is_cancelled_just_as_it_comes_is_passed_on() -> None:
    turns = Turns(1)
    workers = await start(turns, 3)
    workers[0]._end.set()
    while not turns._waiting[0][1].done() and len(turns._waiting) == 2:
        await asyncio.sleep(0)
    workers[1].task.cancel()
    await settle()
    assert workers[2].state == "working"
    await workers[2].end()
