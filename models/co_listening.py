"""What listeners alike hear: which tracks the listeners of each track speak for, worked out before anybody asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, vstack

from models.ranked import best_first
from models.sparse_rows import places_of

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]

# Of a person the last so many distinct tracks, and of all persons the last so many.
HEARD_MAX, LISTENERS_MAX = 200, 50_000
# Tracks that are kept of each.
KEPT = 50
# What only one person heard together says nothing of others, and is nobody else's business.
TOGETHER_FROM = 2
CHUNK = 1_024


@dataclass(frozen=True)
class CoListening:
    """Tracks by the listeners of each track.

    Attributes:
        said: (N, N) CSR float32 > 0, how much the listeners of a track (row) speak for another, `KEPT` of each at most.
    """

    said: csr_matrix

    def candidates(self, rows: Rows, interest: Scores, most: int) -> tuple[Rows, Scores, Rows]:
        """What speaks for tracks that are not held, the best first, ties by row.

        Args:
            rows: of the tracks held, -1 for those that are not known here.
            interest: (n,) > 0, in each.
            most: tracks at most.

        Returns:
            Rows, how much speaks for each, and the place among the tracks held of the one that says most.
        """
        known = np.flatnonzero(rows >= 0)
        places, sizes = places_of(self.said, rows[known])
        sayers = np.repeat(known, sizes)
        worth = self.said.data[places] * interest[sayers]
        found, place = np.unique(self.said.indices[places], return_inverse=True)
        scores = np.bincount(place, worth, minlength=len(found)).astype(np.float32)
        loudest = np.zeros(len(found), np.int64)
        order = np.argsort(worth, kind="stable")
        loudest[place[order]] = sayers[order]  # the last one written stays
        first = best_first(np.where(np.isin(found, rows), -np.inf, scores).astype(np.float32), most)
        return found[first].astype(np.int64), scores[first], loudest[first]


def learn(listeners: Sequence[Rows], tracks: int) -> CoListening:
    """From the distinct rows that each person heard to their end, the latest last.

    Listeners are as near to one who asks as the tracks in common say, rare ones more, by their own number of tracks;
    and what each speaks for adds up. As that is linear in what is held, it is summed by track beforehand: the nearest
    listeners (models/list_neighbours.py), but for the cut to some of them, at the price of one row of a table a track.

    Source: Deshpande and Karypis, Item-Based Top-N Recommendation Algorithms, TOIS 2004.
    """
    kept = [one[-HEARD_MAX:] for one in listeners if len(one) > 1][-LISTENERS_MAX:]
    ends = np.cumsum([0, *map(len, kept)])
    members = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    held = csr_matrix((np.ones(len(members), np.float32), members, ends), shape=(len(kept), tracks))
    held.sort_indices()
    by_track = held.T.tocsr()
    rarity = np.log1p(len(kept) / np.maximum(np.diff(by_track.indptr), 1)).astype(np.float32) ** 2
    squares = np.asarray(held @ rarity).ravel()
    weighed = diags(1 / np.maximum(squares, 1e-9)).astype(np.float32) @ held
    parts = list(_said(by_track, weighed.tocsr(), held, rarity))
    said = vstack(parts, format="csr", dtype=np.float32) if parts else csr_matrix((0, 0), dtype=np.float32)
    said.sort_indices()
    return CoListening(said)


def _said(by_track: csr_matrix, weighed: csr_matrix, held: csr_matrix, rarity: Scores) -> Iterator[csr_matrix]:
    """The rows of the table, some at a time."""
    tracks = by_track.shape[0]
    for start in range(0, tracks, CHUNK):
        part = by_track[start : start + CHUNK]
        said, together = (part @ weighed).tocsr(), (part @ held).tocsr()
        said.sort_indices()
        together.sort_indices()
        said.data[together.data < TOGETHER_FROM] = 0
        own = np.repeat(np.arange(start, start + part.shape[0]), np.diff(said.indptr))
        said.data[said.indices == own] = 0
        said.eliminate_zeros()
        yield _strongest(diags(rarity[start : start + part.shape[0]]).astype(np.float32) @ said)


def _strongest(said: csr_matrix) -> csr_matrix:
    """The same with the `KEPT` greatest values of each row, ties by column."""
    own = np.repeat(np.arange(said.shape[0]), np.diff(said.indptr))
    order = np.lexsort((said.indices, -said.data, own))
    rank = np.arange(len(own)) - said.indptr[own]
    kept = np.sort(order[rank < KEPT])
    ends = np.searchsorted(own[kept], np.arange(said.shape[0] + 1))
    return csr_matrix((said.data[kept], said.indices[kept], ends), shape=said.shape)
