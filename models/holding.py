"""What the collaborative tables say to somebody who holds some tracks."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.collaborative import Collaborative, Rows, Scores
from models.items import Items
from models.ranked import best_first

ARTISTS_MAX = 400
TRACKS_OF_ONE = 60
# What a held artist says of itself, in terms of the strongest that is said of any: EASE leaves that out.
OWN = 3.0

Found = tuple[Rows, Scores]
NOTHING: Found = (np.zeros(0, np.int64), np.zeros(0, np.float32))


class Holding:
    """Tracks that are held, each with an interest > 0; everything is worked out when it is first asked for.

    Args:
        tables: what was learned.
        rows: of the tracks in the tables, -1 for those that came later.
        items: the same tracks.
        interest: of each.
    """

    def __init__(self, tables: Collaborative, rows: Rows, items: Items, interest: NDArray[np.float32]) -> None:
        self.tables = tables
        self.rows, self.items = rows, items
        self.interest = (interest / interest.max()).astype(np.float32) if len(interest) else interest
        self.numbers = tables.numbers_of(items)
        self.listed = rows >= 0
        self.listed[self.listed] = tables.counts[rows[self.listed]] > 0

    @classmethod
    def of(cls, tables: Collaborative, rows: Rows) -> Holding:
        """Tracks of the tables, all alike."""
        return cls(tables, rows, tables.items.take(rows), np.ones(len(rows), np.float32))

    @cached_property
    def artist_interest(self) -> Scores:
        """(M,) interest in each artist by the tracks held."""
        known = self.numbers >= 0
        count = len(self.tables.artists)
        return np.bincount(self.numbers[known], self.interest[known], minlength=count).astype(np.float32)

    @cached_property
    def artist_scores(self) -> Scores:
        """(M,) what speaks for each artist, at most 1; 0 where nothing does."""
        held = np.flatnonzero(self.artist_interest)
        if not len(held):
            return self.artist_interest
        interest = np.log1p(self.artist_interest[held])
        columns = self.tables.related.columns[held]
        said = (self.tables.related.weights[held] * interest[:, None])[columns >= 0]
        scores = np.bincount(columns[columns >= 0], said, minlength=len(self.tables.artists)).astype(np.float32)
        scores[held] += OWN * (scores.max() or 1.0) * interest / interest.max()
        return np.asarray(scores / scores.max())

    @cached_property
    def artist_sayers(self) -> Rows:
        """(M,) place of the held track whose artist says most of each artist; -1 where none says anything."""
        held = np.flatnonzero(self.numbers >= 0)
        numbers = self.numbers[held]
        columns = self.tables.related.columns[numbers]
        said = columns >= 0
        places, columns = np.broadcast_to(held[:, None], columns.shape)[said], columns[said]
        order = np.argsort(self.tables.related.weights[numbers][said], kind="stable")
        sayers = np.full(len(self.tables.artists), -1)
        sayers[columns[order]] = places[order]  # the last one written stays
        sayers[numbers[::-1]] = held[::-1]  # an artist that is held speaks for itself, by the first of its tracks
        return sayers

    @cached_property
    def near(self) -> Found:
        """Tracks of the nearest lists in order of their rows, with what speaks for them."""
        return self.tables.neighbours.candidates(self.rows[self.listed], self.interest[self.listed])

    @cached_property
    def direction(self) -> Scores:
        """(width,) the vector of what is held; 0 when no list holds any of it."""
        return self.tables.fold_in.vector(self.rows[self.listed], self.interest[self.listed])

    @cached_property
    def point(self) -> Scores:
        """(width,) the middle of where the tracks stand."""
        return self.middle(self.tables.points_of(self.rows, self.items, self.numbers))

    def middle(self, vectors: Scores) -> Scores:
        """(width,) the direction of the mean of vectors of the tracks, by interest."""
        mean = (vectors * self.interest[:, None]).sum(axis=0)
        return np.asarray(mean / (np.linalg.norm(mean) or 1.0))

    @cached_property
    def units(self) -> Scores:
        """(listed, width) the directions of the tracks held that a list holds."""
        return self.tables.directions_of(self.rows[self.listed])

    def likeness(self, directions: Scores) -> Scores:
        """(n,) the greatest cosine of each of (n, width) directions to that of a track held, 0..1."""
        if not len(self.units):
            return np.zeros(len(directions), np.float32)
        return np.asarray(np.clip((directions @ self.units.T).max(axis=1), 0, 1))

    def by_artists(self, most: int) -> Found:
        """The strongest tracks of the artists that go with those held, the best first."""
        told = np.flatnonzero(self.artist_scores > 0)
        artists = told[best_first(self.artist_scores[told], ARTISTS_MAX)]
        first = self.tables.starts[artists]
        sizes = np.minimum(self.tables.sizes[artists], TRACKS_OF_ONE)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = self.tables.of_artist[np.repeat(first, sizes) + within].astype(np.int64)
        return self._best(rows, np.repeat(self.artist_scores[artists], sizes) * self.tables.strength[rows], most)

    def by_neighbours(self, most: int) -> Found:
        """The tracks of the nearest lists, the best first."""
        return self._best(*self.near, most)

    def by_factors(self, most: int) -> Found:
        """The listed tracks in the direction of what is held, the best first."""
        if not self.direction.any():
            return NOTHING
        return self._best(self.tables.listed, self.tables.listed_factors @ self.direction, most)

    def _best(self, rows: Rows, scores: Scores, most: int) -> Found:
        # What is held is left out after the cut to a few, which is much cheaper than before it.
        first = best_first(scores, most + len(self.rows))
        first = first[~np.isin(rows[first], self.rows)][:most]
        return rows[first], scores[first]
