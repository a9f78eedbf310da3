"""How good a ranked list is, held against the tracks that a playlist really goes on with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

LENGTH = 500
PAGE = 10
RECALL_AT = 100
MEASURES = (f"NDCG@{LENGTH}", "R-precision", "clicks", f"recall@{RECALL_AT}")
HANDS = 8
# Lower is better of these.
COSTS = frozenset({"clicks"})


def figures_of(ranked: Rows, wanted: Rows) -> NDArray[np.float64]:
    """(4,) the measures of one list in the order of `MEASURES`.

    NDCG over the whole list; R-precision, the share of hits among as many as are wanted; clicks, how many times a page
    of ten is turned before the first hit, one more than there are pages when there is none; recall of the first 100.

    Source: Chen, Lamere, Schedl and Zamani, RecSys Challenge 2018: Automatic Music Playlist Continuation, without its
    credit for a wanted artist.

    Args:
        ranked: distinct rows, the best first; those after the 500th do not count.
        wanted: distinct rows, at least one.
    """
    hits = np.isin(ranked[:LENGTH], wanted)
    gains = 1 / np.log2(np.arange(2, LENGTH + 2))
    found = np.flatnonzero(hits)
    clicks = found[0] // PAGE if len(found) else LENGTH // PAGE + 1
    return np.array(
        [
            gains[: len(hits)][hits].sum() / gains[: len(wanted)].sum(),
            hits[: len(wanted)].sum() / len(wanted),
            clicks,
            hits[:RECALL_AT].sum() / len(wanted),
        ]
    )


def found_of(ranked: Rows, wanted: Rows, k: int) -> NDArray[np.float64]:
    """(2,) recall and NDCG of the first k of a list; arguments as of `figures_of`."""
    hits = np.isin(ranked[:k], wanted)
    gains = 1 / np.log2(np.arange(2, k + 2))
    return np.array([hits.sum() / len(wanted), gains[: len(hits)][hits].sum() / gains[: len(wanted)].sum()])


def best_first(scores: NDArray[np.float32], most: int) -> Rows:
    """Rows of the `most` greatest finite scores, the greatest first, ties by row; what is not finite is left out."""
    finite = np.isfinite(scores)
    usable = np.flatnonzero(finite & (scores >= _surely_below(scores, finite, most)))
    return np.asarray(usable[np.argsort(-scores[usable], kind="stable")[:most]])


def _surely_below(scores: NDArray[np.float32], finite: NDArray[np.bool_], most: int) -> float:
    """What at least `most` finite scores reach, and not many more; -inf where that is not to be had.

    The scores are dealt out to several times as many hands: that many hands have one that reaches the `most`-th best of
    what the hands have at best. To partition all of them takes ten times as long.
    """
    hands = HANDS * most
    if most <= 0 or len(scores) < 2 * hands:
        return -math.inf
    dealt = len(scores) // hands * hands
    best = np.where(finite, scores, -np.inf)[:dealt].reshape(-1, hands).max(axis=0)
    return float(np.partition(best, hands - most)[hands - most])
