"""Which artists the catalogue's owner calls related, kept at hand: artists change seldom and are asked for often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from recall.errors import ChannelUnavailable
from streams.errors import StoreUnavailable
from topics.records import Artist

# What is older than this is asked for again, behind the answer; what is older than that before it.
KEPT_S, KEPT_AT_MOST_S = 5.0, 60.0
KEPT_MAX = 20_000


class Artists(Protocol):
    """Artists by id."""

    async def artists(self, artist_ids: Sequence[str]) -> Mapping[str, Artist]:
        """Those that are known."""


class ArtistRelations:
    """Stated relations of the artists asked for last; no answer waits for those that were read in the last minute."""

    def __init__(self, artists: Artists, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._artists = artists
        self._clock_s = clock_s
        self._kept: dict[str, tuple[float, Sequence[str]]] = {}
        self._reading: set[asyncio.Task[None]] = set()

    async def related(self, artist_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Ids of the artists that each of them is related to, the nearest first.

        Raises:
            ChannelUnavailable: the store does not answer.
        """
        missing = self._older(artist_ids, KEPT_AT_MOST_S)
        if missing:
            await self._read(missing)
        if old := self._older(artist_ids, KEPT_S):
            self._read_behind(old)
        return {one: self._kept[one][1] for one in artist_ids if one in self._kept}

    def _older(self, artist_ids: Sequence[str], age_s: float) -> list[str]:
        """Those of the artists that were not read for so long."""
        since_s = self._clock_s() - age_s
        return [one for one in artist_ids if one not in self._kept or self._kept[one][0] < since_s]

    async def _read(self, artist_ids: Sequence[str]) -> None:
        try:
            found = await self._artists.artists(artist_ids)
        except StoreUnavailable as error:
            raise ChannelUnavailable(f"relations of artists are not known: {error}") from error
        self._keep({one: (found[one].related or ()) if one in found else () for one in artist_ids})

    def _read_behind(self, artist_ids: Sequence[str]) -> None:
        """Read them while answers go on; should the store be away, whoever asks when they are too old is told."""

        async def read() -> None:
            with suppress(ChannelUnavailable):
                await self._read(artist_ids)

        task = asyncio.create_task(read())
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    def _keep(self, related: Mapping[str, Sequence[str]]) -> None:
        for artist_id, others in related.items():
            # Last in the order of a dict is what was put in last.
            self._kept.pop(artist_id, None)
            self._kept[artist_id] = self._clock_s(), others
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
