"""From what is known of a track on its day of release to where lists will put it.

A list is a point: the main directions of which artists stand together. A track is the mean of its lists. Of one that no
list holds, a ridge regression says where that will be, from its sound, its genres and its artist's other tracks; the
more lists hold it, the less the regression counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import svds

from models.items import Items

WIDTH = 64
RIDGE = 30.0

Points = NDArray[np.float32]


def list_points(by_artist: csr_matrix, width: int = WIDTH, seed: int = 7) -> Points:
    """(lists, width) unit vectors: the main directions of how much of each artist a list holds, rare artists more.

    Args:
        by_artist: (lists, M) counts of artists, or their logarithms.
        width: at most; fewer where there are few lists or artists.
        seed: of the start of the iteration.
    """
    lists, artists = by_artist.shape
    found = np.zeros((lists, width), np.float32)
    most = min(width, min(lists, artists) - 1)
    if most < 1:
        return found
    occurring = np.diff(by_artist.tocsc().indptr)
    weighted = by_artist @ diags(np.log1p(lists / np.maximum(occurring, 1)))
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    scaled = (diags(1 / np.maximum(length, 1e-9)) @ weighted).astype(np.float32)
    left, sizes, _ = svds(scaled, k=most, random_state=seed)
    found[:, :most] = left[:, ::-1] * np.sqrt(sizes[::-1])
    return unit(found)


@dataclass(frozen=True)
class Bridge:
    """What turns a track into a point before any list holds it.

    Attributes:
        weights: (inputs, width).
        evidence: lists that count as much as what the regression says.
    """

    weights: Points
    evidence: float

    def points(self, inputs: Points) -> Points:
        """(n, width) where lists will put tracks."""
        return np.asarray(inputs @ self.weights)

    def blended(self, expected: Points, sums: Points, lists: NDArray[np.int64]) -> Points:
        """(n, width) the weighted mean of what was expected and of the lists of each track, `sums` of them.

        A track of n lists is n / (n + evidence) what its lists say.
        """
        return np.asarray((sums + self.evidence * expected) / (lists + self.evidence)[:, None], np.float32)


def inputs_of(items: Items, artist_means: Points, artist_lists: Points) -> Points:
    """(n, inputs) what a bridge starts from.

    Args:
        items: the tracks.
        artist_means: (n, width) mean of their artists' other tracks, 0 where there is none.
        artist_lists: (n,) lists behind each.
    """
    sure = (artist_lists / (artist_lists + 2))[:, None]
    known = (artist_lists > 0).astype(np.float32)[:, None]
    sounds, genres = items.sounds.astype(np.float32), items.genres.astype(np.float32)
    parts = (
        np.ones((len(items), 1), np.float32),
        known,
        artist_means * sure,
        artist_means * (known - sure),
        sounds * (1 - known),
        genres * (1 - known),
        sounds,
        genres,
    )
    return np.hstack(parts)


def fit(inputs: Points, sums: Points, lists: NDArray[np.int64], squares: float) -> Bridge:
    """A bridge from the tracks that lists hold.

    How many lists outweigh it is fitted: lists scatter around their track (within), tracks around the bridge (between),
    and the best mean of both counts `n / (n + within / between)` for a track of n lists.

    Source: Efron and Morris, Stein's Estimation Rule and its Competitors, JASA 1973.

    Args:
        inputs: (n, inputs), the artist's means made without the track itself.
        sums: (n, width) sum of the points of each track's lists.
        lists: (n,) how many, each > 0.
        squares: sum of the squared lengths of all the points in `sums`.
    """
    means = sums / lists[:, None]
    worth = np.sqrt(lists).astype(np.float32)[:, None]
    gram = (inputs * worth).T @ inputs
    gram[np.diag_indices_from(gram)] += RIDGE
    weights = np.linalg.solve(gram, (inputs * worth).T @ means)
    within = (squares - (means**2 * lists[:, None]).sum()) / max(1, lists.sum() - len(lists))
    away = ((means - inputs @ weights) ** 2).sum(axis=1)
    often = lists > 1
    between = (away[often] - within / lists[often]).mean() if often.any() else 0.0
    return Bridge(weights.astype(np.float32), float(np.clip(within / max(between, 1e-6), 0.1, 100)))


def unit(vectors: Points) -> Points:
    """Rows of length 1; 0 stays 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)
