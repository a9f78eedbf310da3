"""Figures of vectors are those that a hand or a loop finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import TooFewTracks
from models.quality import (
    Continuation,
    bootstrap,
    found_among,
    nearest_rows,
    share_alike,
    share_overlapping,
    standardised,
)


def unit_rows(rows: int, seed: int = 1) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(rows, 8))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_nearest_are_those_of_brute_force_without_any_release_of_the_query() -> None:
    vectors, recordings = unit_rows(90), np.arange(90) // 3
    queries = np.array([0, 7, 33, 34, 89])
    for query, got in zip(queries, nearest_rows(vectors, queries, recordings, k=6, chunk=2), strict=True):
        others = [row for row in range(90) if recordings[row] != recordings[query]]
        assert got.tolist() == sorted(others, key=lambda row: -float(vectors[row] @ vectors[query]))[:6]


def test_a_further_release_of_the_query_is_no_hit() -> None:
    """The second trap: ten releases of one recording stand at one place, and everything else is another artist's."""
    vectors = unit_rows(40)
    vectors[:11] = vectors[0]
    recordings = np.concatenate([np.zeros(11, int), np.arange(1, 30)])
    artists = np.concatenate([np.zeros(11, int), np.arange(1, 30)])
    query = np.array([0])
    assert share_alike(nearest_rows(vectors, query, recordings), query, artists).tolist() == [0]
    assert share_alike(nearest_rows(vectors, query, np.arange(40)), query, artists).tolist() == [1]


@pytest.mark.parametrize(("tracks", "queries"), [(10, 3), (50, 0)])
def test_nothing_is_measured_where_there_is_too_little(tracks: int, queries: int) -> None:
    with pytest.raises(TooFewTracks, match=f"10 other recordings, got {queries} and {tracks - 1}"):
        nearest_rows(np.zeros((tracks, 4), np.float32), np.arange(queries), np.arange(tracks))


def test_share_alike_is_told_query_by_query() -> None:
    labels = np.array([1, 1, 2, -1, 1])
    nearest = np.array([[1, 2], [3, 4], [0, 4]])  # of tracks 0, 2, 1
    assert share_alike(nearest, np.array([0, 2, 1]), labels).tolist() == [0.5, 0, 1]


def test_share_overlapping_counts_neighbours_with_something_in_common() -> None:
    genres = [frozenset(one) for one in ("ab", "b", "c", "")]
    nearest = np.array([[1, 2], [0, 3], [0, 1]])  # of tracks 0, 1, 3
    assert share_overlapping(nearest, np.array([0, 1, 3]), genres).tolist() == [0.5, 0.5, 0]


def test_what_is_found_is_ranked_by_nearness_to_the_mean_of_what_is_held() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0], [-1, 0], [0.8, 0.6]], np.float32)
    case = Continuation(held=np.array([0, 1]), wanted=np.array([5, 3]))
    candidates = np.array([2, 3, 4, 5])  # cosines with (0.5, 0.5): 0.7, 0.5, -0.5, 0.7; the lower row first
    recall, ndcg = found_among(vectors, [case], candidates, 2)[0]
    assert recall == 1 / 2
    assert ndcg == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)), abs=1e-6)
    assert found_among(vectors, [case], candidates, 3)[0, 0] == 1


def test_raw_features_are_in_units_of_their_spread_with_unknown_ones_at_the_mean() -> None:
    values = np.array([[1.0, 10.0, np.nan], [3.0, np.nan, np.nan], [5.0, 30.0, np.nan]])
    got = standardised(values)
    np.testing.assert_allclose(got[1], [0, 0, 0], atol=1e-7)
    side = math.sqrt(1.5)  # 2 / sqrt(8 / 3)
    np.testing.assert_allclose(got[2], np.array([side, 1, 0]) / math.hypot(side, 1), atol=1e-6)


def test_an_interval_is_that_of_drawing_clusters_by_hand() -> None:
    rng = np.random.default_rng(4)
    clusters = rng.integers(0, 25, 300)
    values = rng.normal(size=25)[clusters] + rng.normal(scale=0.1, size=300)
    means = []
    for _ in range(4000):
        drawn = rng.integers(0, 25, 25)
        means.append(np.concatenate([values[clusters == one] for one in drawn]).mean())
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(bootstrap(clusters, 1, draws=4000)(values), expected, atol=0.03)
    alone = bootstrap(np.arange(300), 1, draws=4000)(values)
    assert alone[1] - alone[0] < 0.6 * (expected[1] - expected[0])  # one artist's tracks are no 12 artists


def test_a_difference_is_paired() -> None:
    """Two models that differ by a hair everywhere: surely different, although each figure alone is uncertain."""
    rng = np.random.default_rng(5)
    values = rng.random(200)
    interval = bootstrap(np.arange(200), 1)
    low, high = interval(values + 0.01 - values)
    assert 0 < low <= 0.01 + 1e-9 <= high + 2e-9
    assert np.subtract(*interval(values)[::-1]) > 0.05
