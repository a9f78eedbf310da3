"""A worker's tasks end, also those that a client talks out of it once."""

from __future__ import annotations

import asyncio

import pytest

from streams import worker as module
from streams.worker import end


async def deaf(times: int) -> None:
    """As a client that takes so many cancellations for a time-out of its own."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if times <= 0:
                raise
            times -= 1


async def failing() -> None:
    raise OSError("away")


async def begun(*tasks: asyncio.Task[None]) -> list[asyncio.Task[None]]:
    await asyncio.sleep(0)
    return list(tasks)


async def test_tasks_end_however_often_they_must_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANCELLED_AGAIN_S", 0.01)
    tasks = await begun(*(asyncio.create_task(one) for one in (deaf(0), deaf(3), failing())))
    await end(tasks)
    assert [task.cancelled() for task in tasks] == [True, True, False]


async def test_one_that_never_ends_does_not_keep_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANCELLED_AGAIN_S", 0.001)
    tasks = await begun(asyncio.create_task(deaf(1_000)))
    await end(tasks)
    assert not tasks[0].done()
    await asyncio.wait(tasks, timeout=0)
    while not tasks[0].done():
        tasks[0].cancel()
        await asyncio.sleep(0)


async def test_no_tasks_are_no_trouble() -> None:
    await end([])
