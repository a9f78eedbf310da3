"""Listeners alike, summed by track beforehand, say what they say one by one."""

from __future__ import annotations

import numpy as np
import pytest

from models import co_listening
from models.co_listening import CoListening, learn


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def candidates(table: CoListening, *held: int, most: int = 100) -> dict[int, float]:
    found, scores, _ = table.candidates(rows(*held), np.ones(len(held), np.float32), most)
    return dict(zip(found.tolist(), scores.tolist(), strict=True))


def by_listener(listeners: list[np.ndarray], tracks: int, held: dict[int, float]) -> dict[int, float]:
    """Each listener in turn: the rare tracks in common by their number, then for each of their tracks as much."""
    times = np.bincount(np.concatenate(listeners), minlength=tracks)
    rarity = np.log1p(len(listeners) / np.maximum(times, 1)) ** 2
    together = np.zeros((tracks, tracks))
    for one in listeners:
        together[np.ix_(one, one)] += 1
    found: dict[int, float] = {}
    for one in listeners:
        size = rarity[one].sum()
        for track in set(one.tolist()) - held.keys():
            for start, interest in held.items():
                if start in one and together[start, track] >= 2:
                    found[track] = found.get(track, 0.0) + interest * rarity[start] / size
    return found


def test_table_says_what_the_listeners_say_one_by_one() -> None:
    rng = np.random.default_rng(3)
    listeners = [rng.choice(30, rng.integers(2, 12), replace=False) for _ in range(40)]
    table = learn(listeners, 30)
    held = {3: 1.0, 7: 0.5, 11: 0.25}
    found, scores, _ = table.candidates(rows(*held), np.array(list(held.values()), np.float32), 100)
    expected = by_listener(listeners, 30, held)
    assert set(found.tolist()) == set(expected)
    assert scores == pytest.approx([expected[row] for row in found.tolist()], rel=1e-4)
    assert sorted(scores.tolist(), reverse=True) == scores.tolist()


def test_even_listeners_speak_for_even_tracks() -> None:
    listeners = [np.arange(number % 2, 20, 2) for number in range(6)]
    assert set(candidates(learn(listeners, 20), 4)) == set(range(0, 20, 2)) - {4}


def test_what_one_person_alone_heard_together_is_told_to_nobody() -> None:
    table = learn([rows(0, 1, 2), rows(0, 1), rows(2, 3)], 4)
    assert set(candidates(table, 0)) == {1}
    assert candidates(table, 3) == {}


def test_the_start_that_says_most_is_named_and_unknown_ones_say_nothing() -> None:
    table = learn([*[rows(0, 5)] * 3, *[rows(1, 6)] * 3], 8)
    found, _, loudest = table.candidates(rows(-1, 0, 1), np.array([9.0, 1.0, 2.0], np.float32), 5)
    assert (found.tolist(), loudest.tolist()) == ([6, 5], [2, 1])
    assert candidates(table, -1) == {}
    assert len(candidates(table, 0, 1, most=1)) == 1


def test_nobody_and_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert candidates(learn([], 5), 1) == {}
    assert learn([rows(1)], 5).said.nnz == 0
    monkeypatch.setattr(co_listening, "KEPT", 2)
    # The rarer a track, the more it counts; of equal ones the first rows are kept.
    assert learn([np.arange(9)] * 3, 9).said[4].indices.tolist() == [0, 1]
    monkeypatch.setattr(co_listening, "HEARD_MAX", 3)
    assert candidates(learn([np.arange(9)] * 3, 9), 0) == {}
