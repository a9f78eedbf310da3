"""How good vectors are: what is near a track, what is near a playlist, and how sure a difference is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import TooFewTracks
from models.features import Values

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


def nearest_rows(vectors: Vectors, queries: Rows, recordings: Rows, k: int = 10, chunk: int = 512) -> Rows:
    """(Q, k) rows of the tracks nearest to each query, the nearest first, of other recordings than the query's.

    Args:
        vectors: (N, D) unit vectors.
        queries: rows.
        recordings: (N,) which recording each row is a release of.
        k: how many.
        chunk: queries at a time.

    Raises:
        TooFewTracks: there are no queries, or a query may have no k tracks of other recordings.
    """
    releases = int(np.bincount(recordings).max(initial=0))
    if not len(queries) or len(vectors) - releases < k:
        raise TooFewTracks(
            f"expected queries and {k} other recordings, got {len(queries)} and {len(vectors) - releases}"
        )
    found = torch.from_numpy(vectors)
    parts = (queries[start : start + chunk] for start in range(0, len(queries), chunk))
    return np.concatenate([_nearest(found, part, recordings, k, releases) for part in parts])


def _nearest(vectors: torch.Tensor, queries: Rows, recordings: Rows, k: int, releases: int) -> Rows:
    similar = vectors[torch.from_numpy(queries)] @ vectors.T
    ranked = similar.topk(k + releases).indices.numpy()
    own = recordings[ranked] == recordings[queries, None]
    first = np.argsort(own, axis=1, kind="stable")[:, :k]  # the others, in their order
    return np.take_along_axis(ranked, first, axis=1)


def share_alike(nearest: Rows, queries: Rows, labels: Rows) -> NDArray[np.float64]:
    """(Q,) share of each query's nearest that have its label."""
    return np.asarray((labels[nearest] == labels[queries, None]).mean(axis=1))


def share_overlapping(nearest: Rows, queries: Rows, sets: Sequence[frozenset[str]]) -> NDArray[np.float64]:
    """(Q,) share of each query's nearest whose set has something in common with the query's."""
    rows = zip(queries.tolist(), nearest.tolist(), strict=True)
    return np.array([np.mean([not sets[query].isdisjoint(sets[one]) for one in found]) for query, found in rows])


@dataclass(frozen=True)
class Continuation:
    """A playlist that new tracks are to be found for: rows of what it holds, and of the new ones that belong to it."""

    held: Rows
    wanted: Rows


def found_among(vectors: Vectors, cases: Sequence[Continuation], candidates: Rows, k: int) -> NDArray[np.float64]:
    """(cases, 2) recall@k and NDCG@k of the candidates nearest to the mean of what a playlist holds; ties by row."""
    return np.array([_found(vectors, case, candidates, k) for case in cases]).reshape(len(cases), 2)


def _found(vectors: Vectors, case: Continuation, candidates: Rows, k: int) -> tuple[float, float]:
    scores = vectors[candidates] @ vectors[case.held].mean(axis=0)
    hits = np.isin(candidates[np.argsort(-scores, kind="stable")[:k]], case.wanted)
    gains = 1 / np.log2(np.arange(2, k + 2))
    best = gains[: len(case.wanted)].sum()
    return hits.sum() / len(case.wanted), (hits * gains[: len(hits)]).sum() / best


def standardised(values: Values) -> Vectors:
    """(N, 13) the raw features as unit vectors: each in units of its spread, unknown ones at their mean."""
    known = ~np.isnan(values)
    counts = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - np.nansum(values, axis=0) / counts, 0)
    spread = np.sqrt((centred**2).sum(axis=0) / counts)
    scaled = centred / np.where(spread > 0, spread, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(length > 0, length, 1), np.float32)


Interval = tuple[float, float]


def bootstrap(
    clusters: Rows, seed: int, draws: int = 1000, level: float = 0.95
) -> Callable[[NDArray[np.float64]], Interval]:
    """What gives the interval of the mean of values, by drawing whole clusters again.

    Values that are given to one such function meet the same draws, so the interval of a difference is a paired one.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, the percentile interval.

    Args:
        clusters: (N,) what each value belongs to; values of one cluster are not independent.
        seed: of the draws.
        draws: how many.
        level: share of the draws within the interval.
    """
    _, members = np.unique(clusters, return_inverse=True)
    count = int(members.max()) + 1
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    sizes = times @ np.bincount(members, minlength=count)

    def interval(values: NDArray[np.float64]) -> Interval:
        means = times @ np.bincount(members, weights=values, minlength=count) / sizes
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    return interval
