"""What the owner of an index has read and need not read again until it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from recall.index.protocol import TrackFilter
from recall.tracks import CataloguedTrack, IndexedTrack

# Some 2.5 kB each.
TRACKS_MAX = 40_000
ORDERS_MAX = 5_000

# A field, how many, and which.
Order = tuple[str, int, TrackFilter]


class Kept:
    """Tracks by point, the longest kept forgotten first, and the answers to questions that come again and again.

    Right only where every write of the index passes through `forget`.
    """

    def __init__(self, tracks_max: int = TRACKS_MAX) -> None:
        self._tracks_max = tracks_max
        self._tracks: dict[int, IndexedTrack] = {}
        self._orders: dict[Order, Sequence[CataloguedTrack]] = {}

    def tracks(self, points: Iterable[int]) -> dict[int, IndexedTrack]:
        """Those of the points that are kept."""
        return {number: one for number in points if (one := self._tracks.get(number)) is not None}

    def keep(self, read: Mapping[int, IndexedTrack]) -> None:
        """Keep what was read."""
        self._tracks.update(read)
        while len(self._tracks) > self._tracks_max:
            del self._tracks[next(iter(self._tracks))]

    def order(self, asked: Order) -> Sequence[CataloguedTrack] | None:
        """What was found when it was asked before."""
        return self._orders.get(asked)

    def keep_order(self, asked: Order, found: Sequence[CataloguedTrack]) -> None:
        """Keep what was found."""
        if len(self._orders) >= ORDERS_MAX:
            self._orders.clear()
        self._orders[asked] = found

    def forget(self, points: Iterable[int]) -> None:
        """These points are about to be written, and any write may change an order."""
        for number in points:
            self._tracks.pop(number, None)
        self._orders.clear()
