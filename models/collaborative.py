"""What lists of tracks say about each other's tracks: neighbours, artists, factors and places behind one face.

All of it answers from rows of tracks that somebody holds (models/holding.py). It is made of plain arrays, so that it
lies in one file (models/tables.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.bridge import Bridge, fit, inputs_of, list_points
from models.ease import Weights, ease
from models.item_factors import FoldIn, Weighting, train_factors
from models.items import NOBODY, Items, filled
from models.list_neighbours import ListNeighbours

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]
Numbers = NDArray[np.int32]

ARTIST_RIDGE = 200.0
ARTISTS_OF_ONE = 100
# 1 shares out what an artist gets, 0 gives all of it to each track.
SHARED = 0.8
# The most popular track counts as if so many lists held it.
LISTS_OF_POPULAR = 12.0
# Tracks whose points are worked out together.
CHUNK = 16_384
# A list that holds everything says nothing of anything, and takes all the room.
LIST_MAX = 1_000
# The lists that came last; more would take more memory and say little new.
LISTS_MAX = 50_000


@dataclass(frozen=True)
class Collaborative:
    """Tables of N tracks and M artists.

    Attributes:
        items: the tracks, none without popularity or year (`filled`).
        lists: (lists, N) CSR of 0 and 1.
        artists: (M,) uint64 sorted keys; the place of a key is the artist's number.
        numbers: (N,) int32 number of each track's artist, -1 = unknown.
        related: by artist.
        of_artist: rows of tracks by artist, the strongest first; those of artist m stand at
            `of_artist[starts[m]:starts[m + 1]]`.
        strength: (N,) how much of what an artist gets falls to this track.
        factors: (N, width), 0 for a track that no list holds.
        artist_sums: (M, width) sum of the points of the lists of an artist's tracks, and in `artist_lists` how many.
        points: (N, width) float16 where each track stands, by its lists and by the bridge.
        bridge: where a track will stand that came later.
    """

    items: Items
    lists: csr_matrix
    artists: NDArray[np.uint64]
    numbers: Numbers
    related: Weights
    starts: NDArray[np.int64]
    of_artist: Numbers
    strength: Scores
    factors: Scores
    artist_sums: Scores
    artist_lists: NDArray[np.int64]
    points: NDArray[np.float16]
    bridge: Bridge

    @cached_property
    def by_track(self) -> csr_matrix:
        """(N, lists) CSR."""
        return self.lists.T.tocsr()

    @cached_property
    def neighbours(self) -> ListNeighbours:
        """The nearest lists."""
        return ListNeighbours(self.lists, self.by_track)

    @cached_property
    def fold_in(self) -> FoldIn:
        """Vectors of what somebody holds."""
        return FoldIn(self.factors, Weighting())

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(N,) lists that hold each track."""
        return np.asarray(np.diff(self.by_track.indptr), np.int64)

    @cached_property
    def usual(self) -> tuple[float, float]:
        """Popularity and year of a track of which they are not known."""
        known = len(self.items) > 0
        return tuple(float(np.median(one)) if known else 0.0 for one in (self.items.popularity, self.items.years))  # type: ignore[return-value]

    @cached_property
    def place_within_artist(self) -> Scores:
        """(N,) logarithm of 1 + the place of each track among those of its artist; 0 where nobody is known."""
        places = np.zeros(len(self.items), np.float32)
        first = np.repeat(self.starts[:-1], np.diff(self.starts))
        stand = np.arange(self.starts[0], len(self.of_artist))
        places[self.of_artist[stand]] = np.log1p(stand - first)
        return places

    @cached_property
    def sizes(self) -> Rows:
        """(M,) how many tracks each artist has."""
        return np.diff(self.starts)

    @cached_property
    def listed(self) -> Rows:
        """Rows of the tracks that some list holds."""
        return np.flatnonzero(self.counts)

    @cached_property
    def listed_factors(self) -> Scores:
        """Their factors, side by side."""
        return self.factors[self.listed]

    @cached_property
    def listed_directions(self) -> Scores:
        """The directions of the same."""
        return self.directions_of(self.listed)

    def directions_of(self, rows: Rows) -> Scores:
        """(n, width) the factors of rows, each of length 1; 0 for the row -1, and where no list holds a track."""
        if not len(self.factors):
            return np.zeros((len(rows), self.factors.shape[1]), np.float32)
        found = self.factors[np.maximum(rows, 0)]
        lengths = np.sqrt(np.einsum("ij,ij->i", found, found))
        lengths[(lengths == 0) | (rows < 0)] = np.inf
        return np.asarray(found / lengths[:, None])

    def numbers_of(self, items: Items) -> Numbers:
        """(n,) numbers of the artists of tracks, -1 for those that are not known here."""
        if not len(self.artists):
            return np.full(len(items), -1, np.int32)
        places = np.minimum(np.searchsorted(self.artists, items.artists), len(self.artists) - 1)
        return np.where(self.artists[places] == items.artists, places, -1).astype(np.int32)

    def points_of(self, rows: Rows, items: Items, numbers: Numbers) -> Scores:
        """(n, width) where tracks stand; those with the row -1 by the bridge alone."""
        found = self.points[np.maximum(rows, 0)].astype(np.float32)
        if len(later := np.flatnonzero(rows < 0)):
            known = numbers[later] >= 0
            number = np.where(known, numbers[later], 0)
            lists = np.where(known, self.artist_lists[number], 0).astype(np.float32)
            means = (self.artist_sums[number] / np.maximum(lists, 1)[:, None] * known[:, None]).astype(np.float32)
            found[later] = self.bridge.points(inputs_of(items.take(later), means, lists))
        return found


def learn(items: Items, lists: Sequence[Rows]) -> Collaborative:
    """Tables from lists of distinct rows, those that came last at the end."""
    items = replace(items, popularity=filled(items.popularity, items.artists), years=filled(items.years, items.artists))
    kept = [one[-LIST_MAX:] for one in lists if len(one) > 1][-LISTS_MAX:]
    held = counts_of(kept, len(items))
    artists, numbers = numbered(items.artists)
    counts = np.bincount(held.indices, minlength=len(items))
    strength = strengths(items.popularity, counts, numbers, len(artists))
    order = np.lexsort((np.arange(len(items)), -strength, numbers))
    by_artist = artist_counts(held, numbers, len(artists))
    sums, lists_of, points, bridge = places(items, held, by_artist, numbers)
    return Collaborative(
        items=items,
        lists=held,
        artists=artists,
        numbers=numbers,
        related=ease(by_artist, ARTIST_RIDGE, ARTISTS_OF_ONE),
        starts=np.searchsorted(numbers[order], np.arange(len(artists) + 1)).astype(np.int64),
        of_artist=order.astype(np.int32),
        strength=strength,
        factors=train_factors(held, Weighting()),
        artist_sums=sums,
        artist_lists=lists_of,
        points=points,
        bridge=bridge,
    )


def numbered(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], Numbers]:
    """The distinct keys, sorted, and (N,) the place of each among them; `NOBODY` is none and has -1."""
    distinct, numbers = np.unique(keys, return_inverse=True)
    nobody = int(len(distinct) > 0 and distinct[0] == NOBODY)
    return distinct[nobody:], (numbers - nobody).astype(np.int32)


def counts_of(lists: Sequence[Rows], rows: int) -> csr_matrix:
    """(lists, rows) float32, 1 where a list holds a row."""
    ends = np.cumsum([0, *map(len, lists)])
    members = np.concatenate(lists) if lists else np.zeros(0, np.int64)
    return csr_matrix((np.ones(ends[-1], np.float32), members, ends), shape=(len(lists), rows))


def artist_counts(held: csr_matrix, numbers: Numbers, artists: int) -> csr_matrix:
    """(lists, M) how much of each artist a list holds: the logarithm of 1 + its tracks."""
    known = np.flatnonzero(numbers >= 0)
    ones = np.ones(len(known), np.float32)
    summed = (held @ csr_matrix((ones, (known, numbers[known])), shape=(held.shape[1], artists))).tocsr()
    summed.data = np.log1p(summed.data)
    return summed


def strengths(popularity: Scores, counts: NDArray[np.int64], numbers: Numbers, artists: int) -> Scores:
    """(N,) a track's part of its artist, by how many lists hold it and by its popularity; 1 where nobody is known."""
    worth = counts + LISTS_OF_POPULAR * popularity / 100 + 0.2
    of_all = np.bincount(numbers + 1, weights=worth, minlength=artists + 1)
    return np.where(numbers >= 0, worth / of_all[numbers + 1] ** SHARED, 1).astype(np.float32)


def places(
    items: Items, held: csr_matrix, by_artist: csr_matrix, numbers: Numbers
) -> tuple[Scores, NDArray[np.int64], NDArray[np.float16], Bridge]:
    """Sums and counts of the lists' points by artist, where every track stands, and the bridge behind that."""
    stand = list_points(by_artist)
    sums = np.asarray(held.T @ stand, np.float32)
    lists = np.bincount(held.indices, minlength=len(items))
    known = numbers >= 0
    of_artist = csr_matrix(
        (np.ones(known.sum(), np.float32), (numbers[known], np.flatnonzero(known))),
        shape=(by_artist.shape[1], len(items)),
    )
    artist_sums, artist_lists = np.asarray(of_artist @ sums), np.asarray(of_artist @ lists).astype(np.int64)
    number = np.where(known, numbers, 0)
    # A track's own lists are left out, else the bridge would learn to repeat them.
    of_all = artist_lists[number] if len(artist_lists) else np.zeros_like(lists)
    others = np.where(known, of_all - lists, 0).astype(np.float32)
    means = np.zeros_like(sums)
    some = np.flatnonzero(others)
    means[some] = (artist_sums[number[some]] - sums[some]) / others[some, None]
    listed = np.flatnonzero(lists)
    squares = float((stand[np.repeat(np.arange(held.shape[0]), np.diff(held.indptr))] ** 2).sum())
    inputs = inputs_of(items.take(listed), means[listed], others[listed])
    bridge = fit(inputs, sums[listed], lists[listed], squares)
    points = np.empty(sums.shape, np.float16)
    for start in range(0, len(items), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(items)))
        expected = bridge.points(inputs_of(items.take(rows), means[rows], others[rows]))
        points[rows] = bridge.blended(expected, sums[rows], lists[rows])
    return artist_sums, artist_lists, points, bridge
