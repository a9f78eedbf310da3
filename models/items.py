"""What the collaborative models know of a track besides who listed it, as columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

GENRE_WIDTH = 64
# A genre's words count this much beside the genre itself: "indie rock" is near "rock".
WORD = 0.5
NOBODY = 0

Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Items:
    """N tracks in rows.

    Attributes:
        artists: (N,) uint64 key of the first artist, `NOBODY` = unknown; so `albums`.
        popularity: (N,) float32 in 0..100, NaN = unknown.
        years: (N,) float32 of the release, NaN = unknown.
        genres: (N, 64) float16 hashed genres of norm 1, 0 where none is known.
        sounds: (N, 64) float16 acoustic vectors of norm 1, 0 where there is none.
    """

    artists: Keys
    albums: Keys
    popularity: NDArray[np.float32]
    years: NDArray[np.float32]
    genres: NDArray[np.float16]
    sounds: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.artists)

    def take(self, rows: NDArray[np.int64]) -> Items:
        """Some of the rows."""
        return Items(*(getattr(self, one.name)[rows] for one in fields(self)))

    def and_then(self, others: Items) -> Items:
        """These rows, then those."""
        return Items(*(np.concatenate([getattr(self, one.name), getattr(others, one.name)]) for one in fields(self)))


def filled(values: NDArray[np.float32], artists: Keys, seed: int = 7) -> NDArray[np.float32]:
    """The values, an unknown one replaced by that of another track of its artist, else of anybody, drawn by chance.

    Where a catalogue is put together from several sources, what a source leaves out tells which tracks are there only
    because a playlist names them, and a model learns that instead of music. A value that is drawn tells nothing.
    """
    unknown, known = np.flatnonzero(np.isnan(values)), np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.zeros_like(values)
    rng = np.random.default_rng(seed)
    order = known[np.argsort(artists[known], kind="stable")]
    first, last = (np.searchsorted(artists[order], artists[unknown], side) for side in ("left", "right"))
    own = (last > first) & (artists[unknown] != NOBODY)
    first, last = np.where(own, first, 0), np.where(own, last, len(order))
    found = values.copy()
    found[unknown] = values[order[rng.integers(first, last)]]
    return found


def key_of(name: str | None) -> int:
    """An id or a name as a number: its hash, never `NOBODY`."""
    if name is None:
        return NOBODY
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") or 1


def keys_of(names: Iterable[str | None]) -> Keys:
    """Ids or names as numbers."""
    return np.fromiter(map(key_of, names), np.uint64)


def hashed_genres(sets: Sequence[tuple[str, ...]]) -> NDArray[np.float16]:
    """(len(sets), 64) a direction of each set of genres, alike where they share genres or words of them.

    Source: Weinberger, Dasgupta, Langford, Smola and Attenberg, Feature Hashing for Large Scale Multitask Learning,
    ICML 2009.
    """
    known: dict[str, NDArray[np.float32]] = {}
    met: dict[tuple[str, ...], int] = {}
    places = np.fromiter((met.setdefault(one, len(met)) for one in sets), np.int64, len(sets))
    vectors = np.zeros((len(met), GENRE_WIDTH), np.float32)
    for genres, place in met.items():
        for genre in genres:
            if genre not in known:
                known[genre] = _direction(genre) + WORD * sum(map(_direction, genre.split()), _direction(""))
            vectors[place] += known[genre]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float16)[places]


def _direction(word: str) -> NDArray[np.float32]:
    """Four places of the vector, with signs; none for nothing."""
    found = np.zeros(GENRE_WIDTH, np.float32)
    if word:
        for byte in hashlib.blake2b(word.encode(), digest_size=4).digest():
            found[byte % GENRE_WIDTH] += 1 if byte & 0x80 else -1
    return found
