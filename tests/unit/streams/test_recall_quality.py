"""What a list finds is told by channel, and lists that reach more of a catalogue say so."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from models.errors import TooFewTracks
from streams.baselines import popularity
from streams.continuation import Case, Known
from streams.labelled import Catalogue, labelled
from streams.recall_quality import Proposed, Proposer, Tally, compare, shares_found, told_by
from tests.unit.streams.test_continuation import catalogue, halves, track


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def of_artists(*artists: str) -> Catalogue:
    return labelled([track(f"t{at}", artist=one) for at, one in enumerate(artists)], [])


def test_shares_of_channels_worked_by_hand() -> None:
    """Of 1, 2, 3 and 4 one channel finds 1 and 2, another 2 and 3, a third nothing that is wanted."""
    found = dict(shares_found({"a": rows(1, 2, 9), "b": rows(3, 2), "c": rows(8)}, rows(1, 2, 3, 4)))
    assert found == {"a": (0.5, 0.25), "b": (0.5, 0.25), "c": (0.0, 0.0)}
    assert dict(shares_found({}, rows(1))) == {}


def test_items_are_told_by_the_channels_that_found_them() -> None:
    items = [SimpleNamespace(channels={"a": 0, "b": 4}), SimpleNamespace(channels={"b": 0})]
    told = told_by([(7, items[0]), (3, items[1])])
    assert told.rows.tolist() == [7, 3]
    assert {name: some.tolist() for name, some in told.found_by.items()} == {"a": [7], "b": [7, 3]}


def test_figures_of_one_case_worked_by_hand() -> None:
    tally = Tally(of_artists("A", "A", "B", "C"))
    tally.note(Case(0, rows(), rows(1, 3, 5)), Proposed(rows(0, 1, 2), {"one": rows(1)}))
    *_, recall, artists = tally.figures[0]
    # One of three that are wanted; two artists on three tracks.
    assert (recall, artists) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert tally.reached.tolist() == [True, True, True, False]
    tally.note(Case(1, rows(), rows(3)), Proposed(rows(3, 9)))  # 9 is in no catalogue: reached by nobody
    assert tally.reached.all()
    # A channel that found nothing in the second case has half of what it found in the first.
    assert tally.by_channel(np.array([0, 1]), 1)["one"]["recall"]["value"] == pytest.approx(1 / 6, abs=1e-4)


def test_pipeline_that_knows_the_half_is_ahead_of_popularity_and_its_channels_share_the_credit() -> None:
    lists = halves()

    def pipeline(known: Known) -> Proposer:
        def propose(held: np.ndarray) -> Proposed:
            some = np.setdiff1d(np.arange(held[0] % 2, 40, 2), held)
            return Proposed(some, {"low": some[some < 20], "high": some[some >= 20]})

        return propose

    found = compare(catalogue(lists), pipeline, {"popularity": popularity}, "half", seed=1)
    assert found["cases"] == 20
    assert found["ways"]["pipeline"]["recall@500"]["value"] == 1.0
    low, high = (found["channels"][name]["recall"]["value"] for name in ("low", "high"))
    assert low + high == pytest.approx(1.0, abs=1e-4)
    assert found["channels"]["low"]["alone"] == found["channels"]["low"]["recall"]
    least, most = found["differences"]["popularity"]["NDCG@500"]["interval"]
    assert 0 < least < most
    assert found["reached"] == {"pipeline": 1.0, "popularity": 1.0}


def test_one_fold_asks_about_a_fifth_and_too_few_playlists_are_told() -> None:
    def pipeline(known: Known) -> Proposer:
        return lambda held: Proposed(rows(0))

    assert compare(catalogue(halves()), pipeline, {}, "first 5", seed=1, folds=1)["cases"] == 4
    with pytest.raises(TooFewTracks, match="got 3"):
        compare(catalogue(halves(3)), pipeline, {}, "half", seed=1)
