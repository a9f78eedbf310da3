from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recall.diversity import VARIETY, Balance, Share, balance_of, choose, with_news
from recall.merge import Merged
from recall.spacing import spread
from recall.surfaces import surface_of
from recall.tracks import Vector
from tests.unit.recall.tracks import direction, track

FREE = Balance(limit=100, relevance=0.6, per_artist=100, exceptions={}, strict=False, shares=())


def merged(track_id: str, score: float, artist: str = "", **fields: object) -> Merged:
    return Merged(track(track_id, artist or track_id, **fields), {"acoustic": 0}, {"acoustic": score}, {})


def ids(chosen: Sequence[Merged]) -> list[str]:
    return [one.track.track_id for one in chosen]


def by_brute_force(
    scores: Mapping[str, float], vectors: Mapping[str, Vector], limit: int, relevance: float
) -> list[str]:
    """Maximal marginal relevance as its paper has it, one pair at a time."""
    low, high = min(scores.values()), max(scores.values())
    scaled = {name: (score - low) / (high - low) if high > low else 1.0 for name, score in scores.items()}
    chosen: list[str] = []
    while len(chosen) < min(limit, len(scores)):
        value = {}
        for name in scores:
            if name not in chosen:
                likeness = max([0.0, *(float(np.dot(vectors[name], vectors[one])) for one in chosen)])
                value[name] = relevance * scaled[name] - (1 - relevance) * likeness
        chosen.append(max(value, key=lambda name: value[name]))
    return chosen


candidates = st.tuples(
    st.lists(st.integers(-8, 40), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.sampled_from([0.3, 0.6, 0.85, 1.0]),
)


@given(candidates)
def test_list_is_that_of_maximal_marginal_relevance_by_brute_force(given_: tuple[list[int], int, int, float]) -> None:
    scores, seed, limit, relevance = given_
    # Four dimensions, so that some are alike; wider vectors would be nearly at right angles.
    drawn = np.random.default_rng(seed).normal(size=(len(scores), 4))
    vectors = {f"t{i}": (row / np.linalg.norm(row)).astype(np.float32) for i, row in enumerate(drawn)}
    ranked = sorted((merged(f"t{i}", score / 32) for i, score in enumerate(scores)), key=lambda one: -one.score)
    chosen = choose(ranked, vectors, replace(FREE, limit=limit, relevance=relevance))
    expected = by_brute_force({one.track.track_id: one.score for one in ranked}, vectors, limit, relevance)
    assert ids(chosen) == expected
    # Likeness takes away as much as it costs in places, so that the scores say the order, too.
    said = [one.score for one in chosen]
    assert said == sorted(said, reverse=True) or said == pytest.approx(sorted(said, reverse=True))
    assert all(one.contributions.get(VARIETY, 0.0) <= 0 for one in chosen)


def test_second_best_that_sounds_the_same_waits_for_something_else() -> None:
    ranked = [merged("best", 1.0), merged("same", 0.9), merged("else", 0.8), merged("worst", 0.0)]
    vectors = {"best": direction(0), "same": direction(0), "else": direction(90), "worst": direction(0)}
    assert ids(choose(ranked, vectors, replace(FREE, limit=3))) == ["best", "else", "same"]
    # 0.4 / 0.6 of the whole span of scores, for a cosine of 1.
    assert choose(ranked, vectors, FREE)[2].contributions == {"acoustic": 0.9, VARIETY: pytest.approx(-2 / 3)}
    assert ids(choose(ranked, vectors, replace(FREE, limit=3, relevance=1.0))) == ["best", "same", "else"]


def test_pocket_that_was_skipped_is_not_taken_for_variety() -> None:
    """Pushed down by 0.9, its tracks would widen the span of scores, and their being unlike the others win."""
    liked = [merged(f"liked{i}", 1 - i / 10) for i in range(6)]
    skipped = [
        Merged(track(f"skipped{i}"), {}, {"acoustic": 0.9 - i / 10, "session_skipped": -0.9}, {}) for i in range(3)
    ]
    vectors = {one.track.track_id: direction(0) for one in liked} | {
        one.track.track_id: direction(90) for one in skipped
    }
    ranked = sorted([*liked, *skipped], key=lambda one: -one.score)
    chosen = choose(ranked, vectors, replace(FREE, limit=8))
    assert ids(chosen)[:6] == [one.track.track_id for one in liked]
    said = [one.score for one in chosen]
    assert said == sorted(said, reverse=True)
    # The liked ones are 0.5 apart, so likeness costs 0.5 * 0.4 / 0.6 of their scores.
    assert chosen[1].contributions[VARIETY] == pytest.approx(-1 / 3)


def test_scores_that_only_the_session_tells_apart_are_taken_as_they_are() -> None:
    pushes = {"a": 0.0, "b": -0.1, "c": -0.8}
    ranked = [Merged(track(name, name), {}, {"x": 1.0, "session_fatigue": push}, {}) for name, push in pushes.items()]
    chosen = choose(ranked, {name: direction(0) for name in pushes}, replace(FREE, per_artist=1))
    assert ids(chosen) == ["a", "b", "c"]
    # A quarter of the whole distance of 0.8.
    assert chosen[1].contributions[VARIETY] == pytest.approx(-0.2 * 0.4 / 0.6)


def test_track_of_unknown_sound_is_neither_first_for_it_nor_last() -> None:
    ranked = [merged("best", 1.0), merged("same", 0.5), merged("mute", 0.5), merged("far", 0.5), merged("end", 0.0)]
    vectors = {"best": direction(0), "same": direction(0), "far": direction(90), "end": direction(60)}
    assert ids(choose(ranked, vectors, FREE))[:4] == ["best", "far", "mute", "same"]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=24), st.integers(1, 4), st.integers(1, 24))
def test_cap_that_was_asked_for_is_never_passed(artists: list[str], most: int, limit: int) -> None:
    ranked = [merged(f"t{i}", 1 - i / 100, artist) for i, artist in enumerate(artists)]
    balance = balance_of(limit, surface_of(None), (), most)
    chosen = choose(ranked, {}, balance)
    counts = Counter(one.track.artist_ids[0] for one in chosen)
    assert all(count <= most for count in counts.values())
    room = sum(min(count, most) for count in Counter(artists).values())
    assert len(chosen) == min(limit, room)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=24), st.integers(1, 24))
def test_no_other_bound_leaves_a_list_short_or_has_a_track_twice(artists: list[str], limit: int) -> None:
    ranked = [merged(f"t{i}", 1 - i / 100, artist, popularity=99.0) for i, artist in enumerate(artists)]
    balance = balance_of(limit, surface_of("discover_weekly"), [track("seed", "a")], None)
    chosen = ids(choose(ranked, {}, balance))
    assert len(chosen) == len(set(chosen)) == min(limit, len(artists))


def test_tight_list_is_by_relevance_alone_and_a_wide_one_is_not() -> None:
    relevance = [balance_of(30, surface_of(None), (), None, breadth).relevance for breadth in (0.0, 0.25, 0.5, 1.0)]
    assert relevance == pytest.approx([1.0, 0.8, 0.6, 0.6])


def test_artist_has_a_tenth_of_a_long_list_and_three_of_a_short_one() -> None:
    assert balance_of(30, surface_of(None), (), None).per_artist == 3
    assert balance_of(10, surface_of(None), (), None).per_artist == 3
    assert balance_of(500, surface_of(None), (), None).per_artist == 50


@pytest.mark.parametrize(("limit", "least", "most"), [(10, 2, 2), (30, 4, 6), (100, 15, 20)])
@pytest.mark.parametrize("seeds_are", ["best", "worst"])
def test_artist_of_the_seed_has_a_sixth_of_the_list_however_its_tracks_rank(
    limit: int, least: int, most: int, seeds_are: str
) -> None:
    top = 2.0 if seeds_are == "best" else 0.0
    ranked = [merged(f"s{i}", top - i / 1000, "seed") for i in range(40)]
    ranked += [merged(f"o{i}", 1 - i / 1000) for i in range(200)]
    ranked.sort(key=lambda one: -one.score)
    balance = balance_of(limit, surface_of("radio"), [track("start", "seed")], None)
    count = sum(one.track.artist_ids == ("seed",) for one in choose(ranked, {}, balance))
    assert count == (most if seeds_are == "best" else least)


def test_seeds_of_many_artists_are_a_taste_and_no_wish_for_their_tracks() -> None:
    assert balance_of(30, surface_of(None), [track(f"t{i}", f"a{i}") for i in range(4)], None).shares == []


@pytest.mark.parametrize("popular_are", ["best", "worst"])
def test_tenth_of_a_discovery_is_what_everybody_knows(popular_are: str) -> None:
    top = 2.0 if popular_are == "best" else 0.0
    ranked = [merged(f"p{i}", top - i / 1000, popularity=85.0) for i in range(40)]
    ranked += [merged(f"o{i}", 1 - i / 1000, popularity=20.0) for i in range(200)]
    ranked.sort(key=lambda one: -one.score)
    chosen = choose(ranked, {}, balance_of(30, surface_of("discover_weekly"), (), None))
    assert sum((one.track.popularity or 0) > 80 for one in chosen) == 3


@pytest.mark.parametrize(("limit", "releases", "shown"), [(30, 6, 3), (30, 2, 2), (5, 6, 1), (100, 6, 6)])
def test_some_releases_are_in_a_list_however_low_they_rank(limit: int, releases: int, shown: int) -> None:
    ranked = [merged(f"o{i}", 1 - i / 1000) for i in range(200)]
    ranked += [merged(f"new{i}", -1 - i / 1000) for i in range(releases)]
    latest_first = [f"new{i}" for i in reversed(range(releases))]
    chosen = ids(choose(ranked, {}, with_news(replace(FREE, limit=limit), latest_first)))
    assert chosen[-shown:] == latest_first[:shown][::-1]
    assert sum(one.startswith("new") for one in chosen) == shown


def test_shares_that_are_due_together_each_get_their_least() -> None:
    ranked = [
        merged(f"{kind}{i}", worth - i / 1000) for kind, worth in (("o", 1.0), ("a", 0.5), ("b", 0.1)) for i in range(9)
    ]
    shares = [Share(lambda one, kind=kind: one.track_id.startswith(kind), 2, 9) for kind in "ab"]
    assert ids(choose(ranked, {}, replace(FREE, limit=5, shares=shares))) == ["o0", "a0", "a1", "b0", "b1"]


def test_shares_that_nothing_fits_are_left() -> None:
    balance = replace(FREE, limit=3, shares=[Share(lambda one: False, 2, 2)])
    assert ids(choose([merged("a", 1.0), merged("b", 0.9)], {}, balance)) == ["a", "b"]
    assert choose([], {}, balance) == []


def violations(artists: Sequence[Sequence[str]], apart: int) -> int:
    return sum(
        bool(set(one) & set(other)) for place, one in enumerate(artists) for other in artists[place + 1 : place + apart]
    )


@settings(max_examples=300)
@given(st.lists(st.sampled_from("aaabbcde"), max_size=7), st.integers(2, 4))
def test_no_artist_comes_twice_within_some_positions_where_any_order_avoids_it(artists: list[str], apart: int) -> None:
    items = [merged(f"t{i}", 1.0, artist) for i, artist in enumerate(artists)]
    spread_out = spread(items, apart)
    assert sorted(ids(spread_out)) == sorted(ids(items))
    least = min(violations(order, apart) for order in set(itertools.permutations([(one,) for one in artists])))
    if least == 0:
        assert violations([one.track.artist_ids for one in spread_out], apart) == 0


def test_what_is_apart_already_stays_as_it_is() -> None:
    items = [merged(f"t{i}", 1.0, f"a{i % 4}") for i in range(12)]
    assert spread(items) == items


def test_first_that_fits_is_pulled_forward() -> None:
    items = [merged(f"t{i}", 1.0, artist) for i, artist in enumerate("aabcdefg")]
    assert ids(spread(items)) == ["t0", "t2", "t3", "t4", "t1", "t5", "t6", "t7"]
