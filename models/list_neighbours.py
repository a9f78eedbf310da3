"""Lists that have much in common with what somebody holds, and what else is on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.sparse_rows import places_of

NEIGHBOURS = 200
# Lists looked at of each track: of those of a hit, as many say enough.
LISTS_OF_ONE = 2_000


class ListNeighbours:
    """The nearest lists by cosine, rare tracks counting more than common ones.

    Source: Ludewig and Jannach, Evaluation of Session-based Recommendation Algorithms, UMUAI 2018 (V-SkNN).

    Args:
        counts: (N, M) float32 of 0 and 1, N lists of M tracks.
        tracks_of: the same as CSR; `lists_of` by track. Both are kept as they are, so they may be mapped from a file.
    """

    def __init__(self, lists: csr_matrix, by_track: csr_matrix) -> None:
        self._lists, self._by_track = lists, by_track
        held_by = np.diff(by_track.indptr)
        self._rarity = np.log1p(lists.shape[0] / np.maximum(held_by, 1)).astype(np.float32)
        squares = csr_matrix((self._rarity[lists.indices] ** 2, lists.indices, lists.indptr), shape=lists.shape)
        self._length = np.sqrt(np.asarray(squares.sum(axis=1)).ravel()) + 1e-9

    def candidates(
        self, rows: NDArray[np.int64], interest: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Tracks on the lists nearest to one that holds `rows` with `interest` (> 0), and how much speaks for each.

        In order of their rows; those that are held are among them.
        """
        # The last lists of a track are those that came last.
        ends = self._by_track.indptr[rows + 1]
        sizes = np.minimum(ends - self._by_track.indptr[rows], LISTS_OF_ONE)
        met = [self._by_track.indices[end - size : end] for end, size in zip(ends, sizes, strict=True)]
        worth = np.repeat(self._rarity[rows] ** 2 * interest, sizes)
        lists, place = np.unique(np.concatenate(met) if met else np.zeros(0, np.int32), return_inverse=True)
        likeness = np.bincount(place, weights=worth, minlength=len(lists)) / self._length[lists]
        if len(lists) > NEIGHBOURS:
            nearest = np.argpartition(-likeness, NEIGHBOURS)[:NEIGHBOURS]
            lists, likeness = lists[nearest], likeness[nearest]
        places, sizes = places_of(self._lists, lists)
        tracks, place = np.unique(self._lists.indices[places], return_inverse=True)
        said = np.repeat(likeness / self._length[lists], sizes)
        return tracks.astype(np.int64), np.bincount(place, weights=said, minlength=len(tracks)).astype(np.float32)
