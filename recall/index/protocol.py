"""What recall asks of a vector index, whichever engine serves it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from recall.tracks import CataloguedTrack, IndexedTrack, Vector

# Ranges over these are answered by the engine; the other features are filtered after recall.
RANGED_FEATURES: tuple[str, ...] = (
    "danceability",
    "energy",
    "valence",
    "acousticness",
    "instrumentalness",
    "tempo",
)


@dataclass(frozen=True)
class FeatureRange:
    """A feature within inclusive bounds; a track of which it is unknown does not match."""

    feature: str
    low: float
    high: float


@dataclass(frozen=True)
class TrackFilter:
    """Conditions that all hold at once; an empty one does not restrict.

    Days are `YYYYMMDD` integers: a partial release date counts as its first day (`2003` is 20030101); a track
    without a date does not match a bound on it.
    """

    genres_any: tuple[str, ...] = ()
    genres_none: tuple[str, ...] = ()
    artists_any: tuple[str, ...] = ()
    artists_none: tuple[str, ...] = ()
    tracks_none: tuple[str, ...] = ()
    released_from: int | None = None
    released_to: int | None = None
    features: tuple[FeatureRange, ...] = ()


NO_FILTER = TrackFilter()


class Hit(Struct, frozen=True, gc=False):
    """A track and how near it is: the dot product of two unit vectors, so a cosine."""

    track: CataloguedTrack
    score: float


class TrackIndex(Protocol):
    """Tracks with vectors, found by nearness, by condition or by id.

    Every method raises `IndexUnavailable` when the engine does not answer, and `ValueError` for a vector that is not
    finite or of another dimension than the collection's.
    """

    async def upsert(self, tracks: Sequence[IndexedTrack]) -> None:
        """Make tracks searchable before it returns; an older `updated_at_ms` never overwrites a newer one.

        A stored track loses the vectors that its new version does not have, except learned ones
        (`recall.tracks.LEARNED`), which stay until they are given anew. Within one call, the last of a track wins
        unless it is older.
        """

    async def update_vectors(self, name: str, vectors: Mapping[str, Vector]) -> set[str]:
        """Give tracks their vectors of one name, by track id; all else of them stays as it is.

        Returns:
            The ids of the tracks that are indexed, and so have their vectors; the others are passed over.
        """

    async def withdraw(self, track_ids: Sequence[str]) -> None:
        """Forget tracks; an unknown id is no error."""

    async def fetch(self, track_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexedTrack]:
        """Those of the tracks that are indexed, by id."""

    async def vectors(self, track_ids: Sequence[str], *, using: str = "acoustic") -> dict[str, Vector]:
        """The vector of one name of those of the tracks that have it, by id: cheaper than `fetch` of all of them."""

    async def nearest(
        self,
        vector: Vector,
        limit: int,
        where: TrackFilter = NO_FILTER,
        *,
        using: str = "acoustic",
        exact: bool = False,
    ) -> list[Hit]:
        """At most `limit` tracks that match and have such a vector, nearest first, ties by track id.

        `exact` compares with every one, at a cost: it is for measuring what the search graph misses.
        """

    async def sample(self, rng: random.Random, *, using: str = "acoustic") -> Vector | None:
        """The vector of one name of a track drawn at random; `None` when no track near the drawn place has it."""

    async def most_popular(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, the most popular first; unknown popularity counts as 0."""

    async def newest(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, the last added to the catalogue first."""

    async def matching(self, where: TrackFilter, limit: int) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, in no stated order."""

    async def page(self, after: str | None, limit: int) -> tuple[list[IndexedTrack], str | None]:
        """Tracks with all their vectors, in an order of the engine's own, and where the next page begins, if any.

        A track that is written between two pages may be on both, or on none.
        """

    async def count(self) -> int:
        """How many tracks are indexed."""

    async def flush(self) -> None:
        """Force what was written to disk, so that a power loss keeps it."""

    async def drop(self) -> None:
        """Delete the collection with all that it holds; the index is not used after."""

    async def close(self) -> None:
        """Release the engine; the index is not used after."""
