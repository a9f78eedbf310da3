"""What lists say of each other's tracks, on lists whose answer is known."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from models.collaborative import Collaborative, counts_of, learn
from models.evidence import evidence
from models.holding import Holding
from models.item_factors import FoldIn, Weighting, train_factors
from models.items import Items, filled, hashed_genres, key_of, keys_of
from models.list_neighbours import ListNeighbours
from tests.unit.models.collaborating import EACH, TRACKS, group_of, lists_of, world

WAYS = ("by_artists", "by_neighbours", "by_factors")


@pytest.fixture(scope="module")
def tables() -> Collaborative:
    return learn(world(), lists_of())


@pytest.mark.parametrize("way", WAYS)
def test_every_way_leads_to_the_group_of_what_is_held_and_never_to_it_itself(tables: Collaborative, way: str) -> None:
    held = lists_of(seed=99, many=8)[5][:4]
    rows, scores = getattr(Holding.of(tables, held), way)(10)
    assert len(set(rows.tolist())) == 10
    assert group_of(rows) == {5}
    assert not set(rows.tolist()) & set(held.tolist())
    assert (np.diff(scores) <= 0).all()


def test_artists_lead_to_tracks_that_no_list_holds() -> None:
    seen = [one[one % TRACKS != 0] for one in lists_of()]  # nobody ever listed the first track of an artist
    rows, _ = Holding.of(learn(world(), seen), seen[0][:4]).by_artists(EACH - 4)
    assert {row for row in rows.tolist() if row % TRACKS == 0}
    assert group_of(rows) == {0}


@pytest.mark.parametrize("way", WAYS)
def test_those_who_hold_nothing_that_is_known_are_told_nothing(tables: Collaborative, way: str) -> None:
    nobody = world().take(np.zeros(2, np.int64))
    stranger = Items(keys_of(["stranger", None]), *(getattr(nobody, name) for name in list(vars(nobody))[1:]))
    somebody = Holding(tables, np.array([-1, -1]), stranger, np.ones(2, np.float32))
    assert len(getattr(somebody, way)(10)[0]) == 0
    assert len(getattr(Holding.of(tables, np.zeros(0, np.int64)), way)(10)[0]) == 0


def test_a_track_that_came_later_speaks_by_its_artist(tables: Collaborative) -> None:
    later = world().take(np.array([3 * EACH]))
    somebody = Holding(tables, np.array([-1]), later, np.ones(1, np.float32))
    assert group_of(somebody.by_artists(10)[0]) == {3}
    assert group_of(np.flatnonzero(tables.numbers == somebody.numbers[0])) == {3}


def test_interest_weighs(tables: Collaborative) -> None:
    rows = np.array([0, EACH])
    mostly = Holding(tables, rows, tables.items.take(rows), np.array([1, 20], np.float32))
    assert group_of(mostly.by_artists(5)[0]) == {1}
    assert group_of(mostly.by_neighbours(5)[0]) == {1}


def test_neighbours_against_arithmetic() -> None:
    lists = [np.array([0, 1, 2]), np.array([0, 3]), np.array([4, 5])]
    held = counts_of(lists, 6)
    rows, scores = ListNeighbours(held, held.T.tocsr()).candidates(np.array([0]), np.ones(1, np.float32))
    common, rare = np.log1p(3 / 2), np.log1p(3)
    long, short = np.sqrt(common**2 + 2 * rare**2), np.sqrt(common**2 + rare**2)
    expected = {1: common**2 / long**2, 2: common**2 / long**2, 3: common**2 / short**2}
    assert {row: pytest.approx(score, rel=1e-5) for row, score in zip(rows, scores, strict=True) if row} == expected


def test_folding_in_a_list_that_was_learned_gives_the_least_squares_vector() -> None:
    how = Weighting(width=4, iterations=3)
    counts = counts_of(lists_of(), 8 * EACH)
    factors = train_factors(counts, how)
    held = lists_of()[0]
    sure = np.diag(np.where(np.isin(np.arange(len(factors)), held), how.confidence, 1.0))
    wanted = np.isin(np.arange(len(factors)), held) * how.confidence
    expected = np.linalg.solve(factors.T @ sure @ factors + how.ridge * np.eye(4), factors.T @ wanted)
    assert FoldIn(factors, how).vector(held, np.ones(len(held), np.float32)) == pytest.approx(expected, rel=1e-3)


def test_the_library_behind_factors_has_nothing_to_warn_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("implicit.utils._checked_blas_config", False)  # it warns once a process
    with threadpool_limits(2, "blas"), warnings.catch_warnings():
        warnings.simplefilter("error")
        train_factors(counts_of(lists_of(), 8 * EACH), Weighting(width=4, iterations=1))
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {2}


def test_what_lists_say_takes_over_from_the_bridge_with_evidence(tables: Collaborative) -> None:
    bridge = tables.bridge
    sums, expected = np.array([[4.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    k = bridge.evidence
    blended = bridge.blended(expected, sums, np.array([4]))
    assert blended[0].tolist() == pytest.approx([4 / (4 + k), k / (4 + k)])
    assert bridge.blended(expected, 0 * sums, np.array([0]))[0].tolist() == pytest.approx([0.0, 1.0])


def test_a_new_release_stands_where_its_artist_does() -> None:
    seen = [one[one % TRACKS != 0] for one in lists_of()]
    tables = learn(world(), seen)
    somebody = Holding.of(tables, seen[2][:5])
    new = np.flatnonzero(np.arange(8 * EACH) % TRACKS == 0)
    place = evidence(somebody, new, tables.items.take(new))["place_score"]
    assert group_of(new[np.argsort(-place)[:4]]) == {2}


def test_evidence_of_a_track_that_came_later_is_that_of_the_same_track_without_lists(tables: Collaborative) -> None:
    row = np.array([2 * EACH + 1])
    somebody = Holding.of(tables, np.arange(2 * EACH + 6, 2 * EACH + 10))
    before = evidence(somebody, np.array([-1]), tables.items.take(row))
    after = evidence(somebody, row, tables.items.take(row))
    for name in ("artist_score", "genres", "album_held", "popularity", "year_beside"):
        assert before[name] == pytest.approx(after[name], nan_ok=True)
    assert before["lists"] == 0 < after["lists"]


@pytest.mark.parametrize(
    "lists", [[], [np.array([3])], [np.array([3, 3 + EACH])]], ids=["none", "one track", "one list"]
)
def test_too_little_to_learn_from_is_no_error(lists: list[np.ndarray]) -> None:
    tables = learn(world(), lists)
    somebody = Holding.of(tables, np.array([3]))
    assert not {3} & set(np.concatenate([getattr(somebody, way)(5)[0] for way in WAYS]).tolist())
    assert np.isfinite(tables.points.astype(np.float32)).all()


def test_genres_that_share_words_are_near_and_keys_are_never_nobody() -> None:
    rock, indie, folk, none = hashed_genres([("rock",), ("indie rock",), ("swiss folk",), ()]).astype(float)
    assert rock @ indie > 0.3 > rock @ folk
    assert not none.any()
    assert key_of(None) == 0 != key_of("")


def test_absence_tells_nothing() -> None:
    """The first trap, inside a catalogue: of tracks that lists name more is known than of others."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=4_000).astype(np.float32)
    artists = keys_of(f"a{at % 7}" for at in range(4_000))
    unknown = rng.random(4_000) < 0.5
    found = filled(np.where(unknown, np.nan, values), artists)
    assert (found[~unknown] == values[~unknown]).all()
    assert found[unknown].mean() == pytest.approx(values[~unknown].mean(), abs=0.1)
    assert found[unknown].std() == pytest.approx(values[~unknown].std(), abs=0.1)
    for artist in np.unique(artists):
        own = artists == artist
        assert set(found[own & unknown].tolist()) <= set(values[own & ~unknown].tolist())
    # Of an artist of whom nothing is known, and of nobody, somebody's value.
    few = filled(np.array([5, np.nan, np.nan], np.float32), keys_of(["a", "b", None]))
    assert few.tolist() == [5, 5, 5]
    assert filled(np.full(2, np.nan, np.float32), keys_of(["a", "b"])).tolist() == [0, 0]


def test_a_prior_cannot_tell_what_is_listed_by_what_is_known_of_it() -> None:
    """Only tracks that lists name have a popularity and a year; evidence of an unlisted one has them all the same."""
    plain = world()
    listed = np.arange(len(plain)) % 2 == 0
    bare = replace(
        plain,
        popularity=np.where(listed, plain.popularity, np.nan).astype(np.float32),
        years=np.where(listed, 2000 + plain.popularity / 10, np.nan).astype(np.float32),
    )
    tables = learn(bare, [one[listed[one]] for one in lists_of()])
    rows = np.arange(len(plain))
    found = evidence(Holding.of(tables, rows[:6:2]), rows, bare)
    by_tables = evidence(Holding.of(tables, rows[:6:2]), rows, tables.items.take(rows))
    for values in (*found.values(), *by_tables.values()):
        assert np.isfinite(np.asarray(values, float)).all()
    for name in ("popularity", "year", "year_in_spreads"):
        low, high = np.quantile(by_tables[name][listed], [0.05, 0.95])
        assert np.mean((by_tables[name][~listed] >= low) & (by_tables[name][~listed] <= high)) > 0.75
