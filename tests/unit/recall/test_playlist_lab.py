from __future__ import annotations

import numpy as np
import pytest

from recall.playlist_lab import analyse, best_next, nearest, outliers, scaled
from recall.tracks import ACOUSTIC
from tests.unit.recall.tracks import at, direction


def turned(*degrees: float) -> np.ndarray:
    return np.stack([direction(one) for one in degrees])


def test_cohesion_is_the_length_of_the_mean_vector() -> None:
    assert analyse(turned(0, 0, 0)).cohesion == pytest.approx(1)
    assert analyse(turned(0, 90)).cohesion == pytest.approx(np.sqrt(0.5))
    assert analyse(turned(0, 180)).cohesion == pytest.approx(0, abs=1e-6)


def test_best_fit_is_one_and_the_worst_none() -> None:
    fit = analyse(turned(0, 1, 2, 3, 40)).fit
    assert (fit.max(), fit.min(), int(fit.argmin())) == (1.0, 0.0, 4)
    assert scaled(np.array([0.5, 0.5])).tolist() == [1.0, 1.0]


def test_track_of_another_kind_is_an_outlier_and_nobodys_neighbour() -> None:
    found = analyse(turned(0, 1, 2, 3, 4, 5, 6, 7, 90))
    assert found.outliers == (8,)
    assert 8 in found.isolates


def test_outliers_are_far_below_the_usual_distance() -> None:
    # Median 10, median distance 1: (10 - v) * 0.6745 > 3.5 below 4.81.
    usual = [9.0, 10, 11, 10, 9, 11, 10, 11, 9, 10]
    assert outliers(np.array([*usual, 4.7])) == (10,)
    assert outliers(np.array([*usual, 4.9])) == ()
    assert outliers(np.array([1.0, 1, 1, 1])) == ()


def test_neighbours_are_the_nearest_others() -> None:
    vectors = turned(0, 10, 25, 60).astype(float)
    assert nearest(vectors @ vectors.T, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert nearest(vectors @ vectors.T, 9).shape == (4, 3)


def test_track_that_is_everybodys_neighbour_is_a_hub() -> None:
    rng = np.random.default_rng(3)
    around = rng.normal(size=(40, 64))
    around[0] = around[1:].mean(axis=0)
    vectors = (around / np.linalg.norm(around, axis=1, keepdims=True)).astype(np.float32)
    assert analyse(vectors).hubs[0] == 0


def test_map_keeps_two_kinds_apart_and_is_the_same_each_time() -> None:
    vectors = turned(*range(0, 20, 2), *range(120, 140, 2))
    first, again = analyse(vectors).places, analyse(vectors).places
    assert np.array_equal(first, again)
    assert first.min() >= 0
    assert first.max() <= 1
    within = np.linalg.norm(first[:10] - first[:10].mean(axis=0), axis=1).mean()
    between = np.linalg.norm(first[:10].mean(axis=0) - first[10:].mean(axis=0))
    assert between > 1.5 * within


def test_best_next_are_near_some_of_the_tracks_and_none_is_held() -> None:
    held = [at(0, "a"), at(2, "b"), at(100, "c"), at(102, "d")]
    candidates = [*held, at(1, "near"), at(50, "between"), at(101, "near too"), at(1, "again", title="Title near")]
    found = [one.track.track_id for one, _ in best_next(held, candidates, 2, ACOUSTIC)]
    assert set(found) <= {"near", "again", "near too"}
    assert len(found) == 2
    assert not {"near", "again"} <= set(found)


def test_one_track_is_no_playlist() -> None:
    with pytest.raises(ValueError, match="at least two tracks of known sound, got 1"):
        analyse(turned(0))
