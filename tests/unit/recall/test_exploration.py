"""Explored positions: how many, where, what from, and that their probabilities are true."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bandit import Posterior
from recall.exploration import Shown, draw, explore, first_probabilities, pool_of, positions, rate_of, rng_of
from recall.index.protocol import NO_FILTER
from recall.merge import Merged
from recall.person import Person
from recall.policy import UNLEARNED, Policy, reorder
from recall.query import RecallQuery, Start
from recall.ranking_features import COLUMN, PRIOR, SIZE, Scene
from recall.tracks import IndexedTrack
from tests.unit.recall.tracks import track

DAY = 86_400_000
NOW = 19_723 * DAY  # 2024-01-01


def start(number: int, *genres: str) -> Start:
    return Start(IndexedTrack(track(f"s{number}", f"sa{number}", genres=genres)), 1.0)


def query(*starts: Start) -> RecallQuery:
    return RecallQuery(starts, (), (), 0.5, NO_FILTER, False, NOW)


def candidates(count: int, channel: str = "acoustic", **fields: object) -> list[Merged]:
    return [
        Merged(track(f"t{number:03}", f"a{number}", **fields), {channel: number}, {channel: 1 / (1 + number)}, {})
        for number in range(count)
    ]


def shown(
    request_id: str, rate: float, given: list[Merged], limit: int, policy: Policy = UNLEARNED, *starts: Start
) -> Shown:
    ordered = reorder(given, Scene(query(*starts), {}, {}, frozenset(), None), policy)
    return explore(ordered.ranked[:limit], ordered, policy, query(*starts), rate, rng_of(request_id))


def ids(found: Shown) -> list[str]:
    return [one.track.track_id for one in found.items]


@given(st.integers(0, 500), st.floats(0, 1), st.integers(0, 2**32))
def test_never_in_the_first_three_and_at_least_four_apart(length: int, rate: float, seed: int) -> None:
    chosen = positions(rate, length, np.random.default_rng(seed))
    assert all(3 <= position < length for position in chosen)
    assert all(later - earlier >= 4 for earlier, later in pairwise(chosen))


@pytest.mark.parametrize(
    ("rate", "length", "expected"), [(0.08, 30, 2.4), (0.1, 5, 0.5), (0.45, 30, 7), (1.0, 4, 1), (0.0, 30, 0)]
)
def test_as_many_as_the_rate_on_average_as_far_as_they_fit(rate: float, length: int, expected: float) -> None:
    rng = np.random.default_rng(1)
    counts = [len(positions(rate, length, rng)) for _ in range(4000)]
    assert np.mean(counts) == pytest.approx(expected, abs=0.04)


def test_each_position_that_fits_is_as_likely() -> None:
    rng = np.random.default_rng(2)
    counts = Counter(positions(1 / 10, 10, rng)[0] for _ in range(7000))
    assert sorted(counts) == [3, 4, 5, 6, 7, 8, 9]
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 22.5  # chi-square of 6, p = 0.001
    pairs = Counter(tuple(positions(2 / 9, 9, rng)) for _ in range(3000))
    assert sorted(pairs) == [(3, 7), (3, 8), (4, 8)]
    assert sum((count - 1000) ** 2 / 1000 for count in pairs.values()) < 13.8  # of 2


def known_since(days: float, **more: object) -> Person:
    return Person(user_id="u", heard={"x": NOW - int(days * DAY), "y": NOW}, **more)


@pytest.mark.parametrize(
    ("surface", "person", "starts", "expected"),
    [
        ("radio", known_since(31), (), 0.08),
        ("top_mixes", known_since(31), (), 0.12),
        ("daily_mix", known_since(31), (), 0.25),
        ("made_for_you", known_since(31), (), 0.25),
        ("release_radar", known_since(31), (), 0.10),
        ("discover_weekly", known_since(31), (), 0.45),
        ("made_for_you", known_since(29), (), 0.325),  # new
        ("made_for_you", Person(), (), 0.325),
        ("discover_weekly", known_since(29), (), 0.5),  # 0.585, bounded
        ("made_for_you", known_since(31), [start(n, f"g{n}") for n in range(8)], 0.30),  # broad
        ("made_for_you", known_since(31), [start(n, f"g{n}") for n in range(5)], 0.25),
        ("made_for_you", known_since(31), [start(n, "g") for n in range(8)], 0.175),  # narrow
        ("made_for_you", known_since(31), [start(n, "g") for n in range(4)], 0.25),  # too few to tell
        ("made_for_you", known_since(31, explored=10, explored_gladly=5), (), 0.275),
        ("made_for_you", known_since(31, explored=10, explored_gladly=3), (), 0.25),
        ("made_for_you", known_since(31, explored=10, explored_gladly=2), (), 0.20),
        ("made_for_you", known_since(31, explored=4, explored_gladly=0), (), 0.25),
        ("radio", known_since(31, explored=10), [start(n, "g") for n in range(8)], 0.05),  # 0.0448, bounded
    ],
)
def test_rate_is_the_surface_s_times_what_is_known_of_the_person(
    surface: str, person: Person, starts: list[Start], expected: float
) -> None:
    assert rate_of(surface, person, starts, now_ms=NOW) == pytest.approx(expected)  # type: ignore[arg-type]


def test_a_request_is_answered_with_the_same_list_each_time_and_another_with_another() -> None:
    lists = [ids(shown(request_id, 0.25, candidates(60), 30)) for request_id in ("one", "one", "two")]
    assert lists[0] == lists[1] != lists[2]


def test_explored_tracks_take_the_places_of_the_least_and_the_others_keep_their_order() -> None:
    for seed in range(50):
        found = shown(str(seed), 0.2, candidates(60), 30)
        ranked = [one.track.track_id for one in found.items if not one.explored]
        drawn = [one for one in found.items if one.explored]
        assert len(found.items) == len(set(ids(found))) == 30
        assert ranked == [f"t{number:03}" for number in range(30 - len(drawn))]
        assert len(drawn) == 6
        assert {one.track.track_id for one in drawn} <= {one.track_id for one in found.pool}


def test_releases_that_a_list_promises_are_not_explored_away() -> None:
    given = candidates(60)
    low = Merged(track("new", "its artist"), {"fresh": 0}, {"fresh": 0.0}, {})
    ordered = reorder(given, Scene(query(), {}, {}, frozenset(), None), UNLEARNED)
    placed = [*ordered.ranked[:29], low]
    whole = reorder([*given, low], Scene(query(), {}, {}, frozenset(), None), UNLEARNED)
    for seed in range(30):
        found = explore(placed, whole, UNLEARNED, query(), 0.2, rng_of(str(seed)))
        assert "new" in ids(found)
        assert any(one.explored for one in found.items)


def test_without_a_rate_or_without_anything_left_the_list_is_the_ranked_one() -> None:
    for found in (shown("r", 0.0, candidates(60), 30), shown("r", 0.5, candidates(30), 30), shown("r", 0.5, [], 30)):
        assert not any(one.explored for one in found.items)
        assert found.pool == ()
    assert len(shown("r", 0.5, candidates(31), 30).items) == 30


def test_no_artist_of_the_list_is_explored_nor_one_twice() -> None:
    doubled = candidates(30) + [
        Merged(track(f"u{number}", f"a{number}"), {"acoustic": 40}, {"acoustic": 0.01}, {}) for number in range(32)
    ]
    doubled += [Merged(track(f"v{n}", "a31"), {"acoustic": 50}, {"acoustic": 0.005}, {}) for n in range(3)]
    found = shown("r", 0.5, doubled, 30)
    assert sorted(one.track_id for one in found.pool) == ["u30", "u31"]


def test_sources_are_told_apart_and_take_turns() -> None:
    rock = (start(1, "modern rock"),)
    left = [
        Merged(track("new", "n", release_date="2023-12-20"), {"acoustic": 9}, {"acoustic": 0.1}, {}),
        Merged(track("up", "u", genres=("modern rock",)), {"rising": 1}, {"rising": 0.1}, {}),
        Merged(track("next", "x", genres=("folk rock",)), {"genre_popular": 3}, {"genre_popular": 0.1}, {}),
        Merged(track("alike", "l", genres=("polka",)), {"acoustic": 5}, {"acoustic": 0.1}, {}),
        Merged(track("same", "s", genres=("modern rock",)), {"acoustic": 4}, {"acoustic": 0.1}, {}),
        *(Merged(track(f"more{n}", f"m{n}", genres=("folk rock",)), {"x": n}, {"x": 0.01}, {}) for n in range(9)),
    ]
    ordered = reorder(left, Scene(query(*rock), {}, {}, frozenset(), None), UNLEARNED)
    pool, sources = pool_of([], ordered, UNLEARNED, query(*rock))
    found = dict(zip([one.track.track_id for one in pool], sources, strict=True))
    assert {name: found[name] for name in ("new", "up", "next", "alike")} == {
        "new": "fresh",
        "up": "rising",
        "next": "adjacent",
        "alike": "sounds_alike",
    }
    assert sources[:4] == ["fresh", "rising", "adjacent", "sounds_alike"]
    assert found["same"] == "uncertain"
    assert len(pool) == len(left)


def test_what_is_logged_is_of_the_track_beside_it_at_its_position() -> None:
    found = shown("r", 0.5, candidates(60), 30)
    assert any(one.explored for one in found.items)
    for position, (one, row) in enumerate(zip(found.items, found.items_logged(), strict=True)):
        assert row[COLUMN["acoustic"]] == pytest.approx(60 / (60 + one.ranks["acoustic"]), abs=1e-4)
        assert row[COLUMN["position"]] == pytest.approx(1 / np.log2(2 + position), abs=1e-4)
    for pooled, row in zip(found.pool, found.pool_logged(), strict=True):
        assert row[COLUMN["acoustic"]] == pytest.approx(60 / (60 + int(pooled.track_id[1:])), abs=1e-4)
        assert row[COLUMN["position"]] == 1.0
    nothing = shown("r", 0.5, [], 30)
    assert (nothing.items_logged(), nothing.pool_logged()) == ([], [])


def test_a_pool_is_bounded() -> None:
    assert len(shown("r", 0.5, candidates(300), 30).pool) == 16


def test_an_unsure_ranking_is_curious_about_what_it_does_not_know() -> None:
    sure = np.full(SIZE, 0.01)
    sure[COLUMN["similar_artists"]] = 2.0
    policy = Policy("p", Posterior(PRIOR.mean, np.diag(sure)))
    odd = Merged(track("odd", "odd"), {"similar_artists": 0}, {"similar_artists": 0}, {})
    left = [*candidates(9, "acoustic"), odd]
    ordered = reorder(left, Scene(query(), {}, {}, frozenset(), None), policy)
    pool, sources = pool_of([], ordered, policy, query())
    assert (pool[0].track.track_id, sources[0]) == ("odd", "uncertain")


def test_what_may_be_hoped_is_what_is_expected_and_a_deviation() -> None:
    mean, spread = PRIOR.mean.copy(), np.zeros(SIZE)
    mean[COLUMN["playlist"]], spread[COLUMN["playlist"]] = 0.3, 0.05
    mean[COLUMN["acoustic"]], spread[COLUMN["acoustic"]] = 0.2, 0.2
    policy = Policy("p", Posterior(mean, np.diag(spread)))
    left = [
        Merged(track(name, name), {channel: rank}, {channel: 0.1}, {})
        for name, channel, rank in (
            ("sure", "playlist", 0),  # 0.3 + 0.05
            ("unsure", "acoustic", 0),  # 0.2 + 0.2
            ("hopeless", "neighbours", 0),  # 0
            ("less", "acoustic", 20),  # three quarters of 0.4
        )
    ]
    ordered = reorder(left, Scene(query(), {}, {}, frozenset(), None), policy)
    pool, sources = pool_of([], ordered, policy, query())
    assert [one.track.track_id for one in pool] == ["unsure", "sure", "less", "hopeless"]
    assert set(sources) == {"uncertain"}


def test_probabilities_by_hand() -> None:
    # 0.05 less is e times less likely: exp(0), exp(-1), exp(-2) over their sum; 0.8 of it, and 0.2 in equal parts.
    weights = np.exp([0.0, -1.0, -2.0])
    assert first_probabilities(np.array([0.5, 0.45, 0.4])) == pytest.approx(0.8 * weights / weights.sum() + 0.2 / 3)
    drawn = draw(np.array([0.5, 0.3, 0.2]), 3, np.random.default_rng(0))
    left = 1.0
    for number, propensity in drawn:
        first = [0.5, 0.3, 0.2][number]
        assert propensity == pytest.approx(first / left)
        left -= first


def test_frequencies_are_what_the_propensities_say() -> None:
    """Chi-square over 6,000 requests: of a sure ranking, whose probabilities are the same each time."""
    sure = Policy("sure", Posterior(PRIOR.mean, np.zeros((SIZE, SIZE))))
    given_ = candidates(12)
    first: Counter[str] = Counter()
    later: Counter[tuple[str, str]] = Counter()
    stated: dict[str, float] = {}
    propensities: dict[tuple[str, str], float] = {}
    for number in range(6000):
        found = shown(f"request-{number}", 2 / 8, given_, 8, sure)
        one, two = [item for item in found.items if item.explored]
        stated = {pooled.track_id: pooled.probability for pooled in found.pool}
        pair = one.track.track_id, two.track.track_id
        first[pair[0]] += 1
        later[pair] += 1
        assert one.propensity == pytest.approx(stated[pair[0]])
        assert two.propensity == pytest.approx(stated[pair[1]] / (1 - stated[pair[0]]))
        propensities[pair] = (one.propensity or 0) * (two.propensity or 0)
    assert len(stated) == 4
    assert sum(stated.values()) == pytest.approx(1)
    assert sum(propensities.values()) == pytest.approx(1)
    assert _chi_square(first, stated) < 16.3  # 3 degrees of freedom, p = 0.001
    assert _chi_square(later, propensities) < 31.3  # 11


def test_frequencies_hold_for_an_unsure_ranking_whose_probabilities_change_with_each_request() -> None:
    observed: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    variance: Counter[str] = Counter()
    for number in range(4000):
        found = shown(f"request-{number}", 1 / 8, candidates(12), 8)
        (drawn,) = [item for item in found.items if item.explored]
        observed[drawn.track.track_id] += 1
        for pooled in found.pool:
            expected[pooled.track_id] += pooled.probability
            variance[pooled.track_id] += pooled.probability * (1 - pooled.probability)
    assert len({round(value) for value in expected.values()}) > 1
    for track_id, count in expected.items():
        assert abs(observed[track_id] - count) < 4 * np.sqrt(variance[track_id])


def _chi_square(counts: Counter[object], probabilities: dict[object, float]) -> float:  # type: ignore[type-var]
    total = sum(counts.values())
    return sum((counts[key] - total * share) ** 2 / (total * share) for key, share in probabilities.items())
