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
    overload, in which everybody would wait, and nobody be served in time. Then the last to come is the next, and who
    has waited for `hurry_s` is turned away: some are served at once instead of all too late. A queue that was emptied
    by turning away is as overloaded as before. Source: controlled delay and adaptive LIFO as in B. Maurer, "Fail at
    Scale", ACM Queue 13(8), 2015.
    """

    def __init__(self, at_once: int, *, burst_s: float = 0.1, hurry_s: float = 0.02) -> None:
        self._free = at_once
        self._burst_s = burst_s
        self._hurry_s = hurry_s
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._empty_at = 0.0
        self._turned_away_at = -burst_s

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
            self._found_empty(loop.time())
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
        """Let in the next, and turn away who has waited too long."""
        now_s = asyncio.get_running_loop().time()
        hurries = now_s - self._empty_at > self._burst_s
        self._turn_away(now_s, self._hurry_s if hurries else self._burst_s)
        chosen = self._next(last=hurries)
        if chosen is None:
            self._free += 1
        else:
            chosen.set_result(None)
        if not self._waiting:
            self._found_empty(now_s)

    def _found_empty(self, now_s: float) -> None:
        """Nobody waits; unless that is because they were turned away, all is well."""
        if now_s - self._turned_away_at >= self._burst_s:
            self._empty_at = now_s

    def _turn_away(self, now_s: float, limit_s: float) -> None:
        """Tell all who have waited longer."""
        while self._waiting and (waited_s := now_s - self._waiting[0][0]) > limit_s:
            _, first = self._waiting.popleft()
            if not first.done():
                self._turned_away_at = now_s
                first.set_exception(Overloaded(f"waited {waited_s:.3f} s in a queue that does not empty"))

    def _next(self, *, last: bool) -> asyncio.Future[None] | None:
        while self._waiting:
            _, chosen = self._waiting.pop() if last else self._waiting.popleft()
            if not chosen.done():
                return chosen
        return None
