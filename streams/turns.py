"""Who may work now, and who has waited too long to be worth it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.errors import Overloaded


class Turns:
    """Lets a few work at once, the others in the order they came, and turns away who waited in a standing queue.

    A queue that empties now and then is a burst, and worth waiting for; one that has not been empty for `burst_s` is
    overload, in which everybody would wait, and nobody be served in time. Then only those who have waited less than
    `hurry_s` are let in. Source: controlled delay as in B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015.
    """

    def __init__(self, at_once: int, *, burst_s: float = 0.1, hurry_s: float = 0.02) -> None:
        self._free = at_once
        self._burst_s = burst_s
        self._hurry_s = hurry_s
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._empty_at = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Work within it. Raises Overloaded when the wait for it was too long."""
        await self._wait()
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        if self._free:
            self._free -= 1
            self._empty_at = loop.time()
            return
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.append((loop.time(), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Let in the first who has not waited too long."""
        now_s = asyncio.get_running_loop().time()
        limit_s = self._burst_s if now_s - self._empty_at <= self._burst_s else self._hurry_s
        while self._waiting:
            since_s, first = self._waiting.popleft()
            if first.done():
                continue
            if now_s - since_s > limit_s:
                first.set_exception(Overloaded(f"waited {now_s - since_s:.3f} s in a queue that does not empty"))
                continue
            first.set_result(None)
            break
        else:
            self._free += 1
        if not self._waiting:
            self._empty_at = now_s
