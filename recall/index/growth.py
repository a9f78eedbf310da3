"""What is written to a shard while its search graph is built: it is brought over to the shard that has one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from qdrant_edge import EdgeShard, Point, UpdateOperation

from recall.index.points import point_text

# Points in one go, a few milliseconds; twice as many as a writer adds before it lets others run.
AT_ONCE = 128
# So few are brought over while writers wait, some tenth of a second.
LAST = 2_000
# Forced to disk in between, because a flush holds up answers for as long as it takes.
FLUSHED_AFTER = 4_000


class Written:
    """Points written since the search graph was built, and since a copy was made to build it anew.

    Points and not operations are held, so that memory does not grow with how often one is written.

    Attributes:
        writes: how many times anything was written; who sees it stand still sees a rest.
    """

    def __init__(self, before: int) -> None:
        """`before` points are outside the graph already, nobody knows which."""
        self._before = before
        self._outside: set[int] = set()
        self._waiting: set[int] | None = None
        self._brought: set[int] = set()
        self.writes = 0

    @property
    def outside(self) -> int:
        """Points that are in no graph, so that each search compares with every one."""
        return self._before + len(self._outside)

    @property
    def waiting(self) -> int:
        """Points that the copy does not have as they are."""
        return len(self._waiting or ())

    def add(self, points: Iterable[int]) -> None:
        """These were written, or deleted."""
        points = list(points)
        self.writes += 1
        self._outside.update(points)
        if self._waiting is not None:
            self._waiting.update(points)

    def copied(self) -> None:
        """A copy was made: what is written from now on waits for it."""
        self._waiting, self._brought = set(), set()

    def take(self, count: int) -> list[int]:
        """Points to bring over next, no longer waiting."""
        waiting = self._waiting or set()
        taken = [waiting.pop() for _ in range(min(count, len(waiting)))]
        self._brought.update(taken)
        return taken

    def taken_over(self) -> None:
        """The copy serves: only what was brought over is outside its graph."""
        self._before, self._outside, self._waiting = 0, self._brought, None

    def given_up(self) -> None:
        """There is no copy any more."""
        self._waiting = None


def bring_over(points: Iterable[int], source: EdgeShard, target: EdgeShard) -> None:
    """Make these points in `target` what they are in `source`, gone ones included. Raises what the engine does."""
    wanted = {point_text(number) for number in points}
    found = source.retrieve(list(wanted), True, True)
    if found:
        target.update(UpdateOperation.upsert_points([Point(one.id, one.vector or {}, one.payload) for one in found]))
    gone = wanted - {str(one.id) for one in found}
    if gone:
        target.update(UpdateOperation.delete_points(list(gone)))


async def catch_up(written: Written, source: EdgeShard, target: EdgeShard, *, until: int) -> None:
    """Bring over until no more than `until` points wait; others run in between."""
    unflushed = 0
    while written.waiting > until:
        points = written.take(AT_ONCE)
        bring_over(points, source, target)
        unflushed += len(points)
        if unflushed >= FLUSHED_AFTER:
            target.flush()
            unflushed = 0
        await asyncio.sleep(0)
