"""One index to ask, and behind it a collection for each version of the embedding that is live.

Vectors of two versions have nothing in common, so whoever starts with one collection stays with it (`pinned`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from recall.index.protocol import NO_FILTER, Hit, TrackFilter, TrackIndex
from recall.tracks import ACOUSTIC, LEARNED, CataloguedTrack, IndexedTrack, Vector

CARRIED_AT_ONCE = 128
POLL_S = 0.01


@dataclass
class _Live:
    """A collection, and how many are pinned to it."""

    version: str
    index: TrackIndex
    pinned: int = 0


class SwitchedIndex:
    """A `TrackIndex` that asks the collection which serves, or the one that the caller is pinned to.

    What is learned of tracks apart from the embedding is written to all of them.
    """

    def __init__(self, version: str, index: TrackIndex) -> None:
        """`index` is the collection of the version that serves."""
        self._serving = _Live(version, index)
        self._live = {version: self._serving}
        self._pin: ContextVar[_Live | None] = ContextVar("pinned collection", default=None)
        self._learning = asyncio.Lock()

    @property
    def version(self) -> str:
        """The version that serves, or that the caller is pinned to."""
        return self._asked.version

    @property
    def versions(self) -> frozenset[str]:
        """Every version that is live."""
        return frozenset(self._live)

    def of(self, version: str) -> TrackIndex:
        """The collection of a version that is live."""
        return self._live[version].index

    @contextmanager
    def pinned(self) -> Iterator[str]:
        """Stay with the collection that serves now, whatever is switched meanwhile; the value is its version."""
        held = self._serving
        held.pinned += 1
        token = self._pin.set(held)
        try:
            yield held.version
        finally:
            self._pin.reset(token)
            held.pinned -= 1

    def add(self, version: str, index: TrackIndex) -> None:
        """Another version is live; it does not serve yet."""
        self._live[version] = _Live(version, index)

    def switch(self, version: str) -> None:
        """Let another version that is live serve whoever asks from now on."""
        self._serving = self._live[version]

    async def remove(self, version: str) -> TrackIndex:
        """Forget a version that does not serve, once nobody is pinned to it any more; its collection is returned."""
        gone = self._live.pop(version)
        while gone.pinned:  # noqa: ASYNC110 - as long as an answer takes, once in the life of a version
            await asyncio.sleep(POLL_S)
        return gone.index

    async def carry_learned(self, version: str) -> None:
        """Give another collection what was learned of its tracks in the one that serves."""
        after: str | None = None
        while True:
            # Nobody may learn between the reading and the writing of a page.
            async with self._learning:
                tracks, after = await self._serving.index.page(after, CARRIED_AT_ONCE)
                for name in LEARNED:
                    vectors = {one.track.track_id: one.vectors[name] for one in tracks if name in one.vectors}
                    if vectors:
                        await self.of(version).update_vectors(name, vectors)
            if after is None:
                return
            await asyncio.sleep(0)

    @property
    def _asked(self) -> _Live:
        return self._pin.get() or self._serving

    @property
    def unoptimised(self) -> int | None:
        """As the collection's own, where it knows."""
        return getattr(self._asked.index, "unoptimised", None)

    async def upsert(self, tracks: Sequence[IndexedTrack]) -> None:
        """As `TrackIndex`."""
        await self._asked.index.upsert(tracks)

    async def update_vectors(self, name: str, vectors: Mapping[str, Vector]) -> set[str]:
        """As `TrackIndex`; learned vectors in every collection, the ids being those of the one that is asked."""
        if name not in LEARNED:
            return await self._asked.index.update_vectors(name, vectors)
        async with self._learning:
            asked = self._asked
            others = [one for one in self._live.values() if one is not asked]
            written = await asked.index.update_vectors(name, vectors)
            for one in others:
                await one.index.update_vectors(name, vectors)
            return written

    async def withdraw(self, track_ids: Sequence[str]) -> None:
        """As `TrackIndex`."""
        await self._asked.index.withdraw(track_ids)

    async def fetch(self, track_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexedTrack]:
        """As `TrackIndex`."""
        return await self._asked.index.fetch(track_ids, with_vectors=with_vectors)

    async def vectors(self, track_ids: Sequence[str], *, using: str = ACOUSTIC) -> dict[str, Vector]:
        """As `TrackIndex`."""
        return await self._asked.index.vectors(track_ids, using=using)

    async def nearest(
        self,
        vector: Vector,
        limit: int,
        where: TrackFilter = NO_FILTER,
        *,
        using: str = ACOUSTIC,
        exact: bool = False,
    ) -> list[Hit]:
        """As `TrackIndex`."""
        return await self._asked.index.nearest(vector, limit, where, using=using, exact=exact)

    async def sample(self, rng: random.Random, *, using: str = ACOUSTIC) -> Vector | None:
        """As `TrackIndex`."""
        return await self._asked.index.sample(rng, using=using)

    async def most_popular(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        """As `TrackIndex`."""
        return await self._asked.index.most_popular(limit, where)

    async def newest(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        """As `TrackIndex`."""
        return await self._asked.index.newest(limit, where)

    async def matching(self, where: TrackFilter, limit: int) -> list[CataloguedTrack]:
        """As `TrackIndex`."""
        return await self._asked.index.matching(where, limit)

    async def page(self, after: str | None, limit: int) -> tuple[list[IndexedTrack], str | None]:
        """As `TrackIndex`."""
        return await self._asked.index.page(after, limit)

    async def count(self) -> int:
        """As `TrackIndex`."""
        return await self._asked.index.count()

    async def flush(self) -> None:
        """As `TrackIndex`."""
        await self._asked.index.flush()

    async def drop(self) -> None:
        """Delete every collection."""
        for one in self._live.values():
            await one.index.drop()

    async def close(self) -> None:
        """Close every collection."""
        for one in self._live.values():
            await one.index.close()
