"""Measures of a list, with figures worked by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from models.ranked import best_first, figures_of, found_of


def rows(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_a_list_of_what_is_wanted_is_perfect() -> None:
    assert figures_of(rows(4, 2), rows(2, 4)).tolist() == [1.0, 1.0, 0.0, 1.0]


def test_measures_worked_by_hand() -> None:
    # Three wanted; hits stand third and twelfth.
    ranked = rows(10, 11, 1, *range(20, 28), 2, 30)
    ndcg, precision, clicks, recall = figures_of(ranked, rows(1, 2, 3))
    assert ndcg == pytest.approx((1 / log2(4) + 1 / log2(13)) / (1 + 1 / log2(3) + 1 / log2(4)))
    assert (precision, clicks, recall) == (pytest.approx(1 / 3), 0, pytest.approx(2 / 3))


def test_nothing_found_costs_one_page_more_than_there_are() -> None:
    assert figures_of(np.arange(600), rows(900)).tolist() == [0.0, 0.0, 51.0, 0.0]


def test_the_first_hit_on_the_third_page_costs_two_clicks_and_what_comes_after_500_does_not_count() -> None:
    assert figures_of(np.arange(500), rows(20, 500))[2] == 2
    assert figures_of(np.arange(600), rows(500)).tolist() == [0.0, 0.0, 51.0, 0.0]


def test_a_short_list_is_held_against_all_that_is_wanted() -> None:
    ndcg, precision, _, recall = figures_of(rows(1), rows(1, 2))
    assert ndcg == pytest.approx(1 / (1 + 1 / log2(3)))
    assert (precision, recall) == (0.5, 0.5)


def test_recall_of_the_first_few() -> None:
    recall, ndcg = found_of(rows(9, 1, 2), rows(1, 2), 2)
    assert recall == 0.5
    assert ndcg == pytest.approx((1 / log2(3)) / (1 + 1 / log2(3)))


def test_best_first_breaks_ties_by_row_and_leaves_out_what_is_not_finite() -> None:
    scores = np.array([1, 3, -np.inf, 3, np.nan, 2], np.float32)
    assert best_first(scores, 9).tolist() == [1, 3, 5, 0]
    assert best_first(scores, 1).tolist() == [1]
    assert best_first(np.zeros(6, np.float32), 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(40))
def test_best_first_of_many_is_that_of_sorting_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=rng.integers(1, 4_000)).astype(np.float32).round(seed % 3)
    unusable = rng.random(len(scores)) < (0.0, 0.3, 0.98)[seed % 3]
    scores[unusable] = rng.choice(np.array([-np.inf, np.inf, np.nan], np.float32), unusable.sum())
    expected = sorted(np.flatnonzero(np.isfinite(scores)).tolist(), key=lambda row: (-scores[row], row))
    for most in (1, 3, 55, 5_000):
        assert best_first(scores, most).tolist() == expected[:most]
