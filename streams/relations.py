"""Which artists the catalogue's owner calls related, kept at hand: artists change seldom and are asked for often."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from recall.errors import ChannelUnavailable
from streams.errors import StoreUnavailable
from topics.records import Artist

# How long a new record of an artist may go unseen.
KEPT_S = 5.0
KEPT_MAX = 20_000


class Artists(Protocol):
    """Artists by id."""

    async def artists(self, artist_ids: Sequence[str]) -> Mapping[str, Artist]:
        """Those that are known."""


class ArtistRelations:
    """Stated relations, each at most `KEPT_S` old, of the artists asked for last."""

    def __init__(self, artists: Artists, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._artists = artists
        self._clock_s = clock_s
        self._kept: dict[str, tuple[float, Sequence[str]]] = {}

    async def related(self, artist_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Ids of the artists that each of them is related to, the nearest first.

        Raises:
            ChannelUnavailable: the store does not answer.
        """
        old_s = self._clock_s() - KEPT_S
        missing = [one for one in artist_ids if one not in self._kept or self._kept[one][0] < old_s]
        if missing:
            try:
                found = await self._artists.artists(missing)
            except StoreUnavailable as error:
                raise ChannelUnavailable(f"relations of artists are not known: {error}") from error
            self._keep({one: (found[one].related or ()) if one in found else () for one in missing})
        return {one: self._kept[one][1] for one in artist_ids if one in self._kept}

    def _keep(self, related: Mapping[str, Sequence[str]]) -> None:
        for artist_id, others in related.items():
            # Last in the order of a dict is what was put in last.
            self._kept.pop(artist_id, None)
            self._kept[artist_id] = self._clock_s(), others
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
