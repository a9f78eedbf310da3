"""A track as recall sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from topics.records import ArtistRef, Features

Vector = NDArray[np.float32]


def matrix(vectors: Sequence[Vector]) -> NDArray[np.float32]:
    """(N, D) of at least one vector, not to be written to; `np.stack` takes ten times as long."""
    return np.frombuffer(b"".join(vectors), np.float32).reshape(len(vectors), -1)  # type: ignore[arg-type]


ACOUSTIC = "acoustic"
COOCCURRENCE = "cooccurrence"
# Written apart from a track's record, by whoever learns them: they stay when the record changes.
LEARNED = frozenset({COOCCURRENCE})


class CataloguedTrack(Struct, frozen=True, array_like=True, gc=False):
    """What channels, filters, ranking and answers need of one track.

    `own_genres` are those of the track's own record; `genres` adds those of its artists, without repeats.
    `added_at_ms` is when it became news, 0 for one that came with a whole catalogue. `updated_at_ms` is its owner's
    stamp, 0 when there was none.
    """

    track_id: str
    title: str
    artists: tuple[ArtistRef, ...] = ()
    album_id: str | None = None
    album_name: str | None = None
    release_date: str | None = None
    isrc: str | None = None
    duration_ms: int | None = None
    popularity: float | None = None
    explicit: bool | None = None
    markets: tuple[str, ...] | None = None
    own_genres: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    features: Features | None = None
    updated_at_ms: int = 0
    added_at_ms: int = 0

    @property
    def artist_ids(self) -> tuple[str, ...]:
        """The known ids of its artists, in billing order."""
        if len(self.artists) == 1:  # as most have, and it is asked hundreds of times an answer
            only = self.artists[0].artist_id
            return () if only is None else (only,)
        return tuple([artist.artist_id for artist in self.artists if artist.artist_id is not None])


class IndexedTrack(Struct, frozen=True, gc=False):
    """A track with its vectors by name, each float32 of L2 norm 1; what is not known has none.

    `acoustic` and `cooccurrence` are (64,); what else there is, and how long, the installation declares.
    """

    track: CataloguedTrack
    vectors: Mapping[str, Vector] = {}


class HasTrack(Protocol):
    """Anything about one track."""

    @property
    def track(self) -> CataloguedTrack:
        """The track."""
