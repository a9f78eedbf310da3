from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import CheckpointMismatch
from models.past_sessions import PastSessions, PastSessionsConfig
from models.postings import Postings

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000
SMALL = PastSessionsConfig(sessions=50, width=5, recent=8, tracks=100, neighbours=3, names=10)


def brute(past: list[tuple[list[str], int]], current: list[str], config: PastSessionsConfig) -> list[tuple[str, float]]:
    """The formula, session by session. Every track is remembered with its last `recent` sessions."""
    known = {one for tracks, _ in past for one in tracks}
    asked = [one for one in dict.fromkeys(reversed(current)) if one in known][: config.current]
    weight = {one: math.exp(-place / config.fade) for place, one in enumerate(asked)}
    where = {one: [n for n, (tracks, _) in enumerate(past) if one in tracks] for one in known}
    near = []
    for number, (tracks, at_ms) in enumerate(past):
        common = [one for one in asked if number in where[one][-config.recent :]]
        if number >= len(past) - config.sessions and common:
            likeness = sum(weight[one] for one in common) / math.sqrt(len(asked) * len(tracks))
            near.append((likeness * math.exp(-(NOW_MS - at_ms) / DAY_MS / config.days), at_ms, tracks))
    scores: dict[str, float] = {}
    for likeness, _, tracks in sorted(near, key=lambda one: (-one[0], -one[1]))[: config.neighbours]:
        anchor = tracks.index(next(one for one in asked if one in tracks))
        for place, one in enumerate(tracks):
            if one not in asked:
                rarity = math.log(1 + len(past) / len(where[one]))
                scores[one] = scores.get(one, 0.0) + likeness * math.exp(-abs(place - anchor) / config.near) * rarity
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))


def held(past: list[tuple[list[str], int]], config: PastSessionsConfig = SMALL) -> PastSessions:
    sessions = PastSessions(config)
    for number, (tracks, at_ms) in enumerate(past):
        sessions.add(f"s{number}", tracks, at_ms)
    return sessions


NAMES = [f"t{n}" for n in range(12)]


@given(
    st.lists(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True), max_size=90),
    st.lists(st.sampled_from([*NAMES, "unknown"]), max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_scores_are_those_of_the_formula(sessions: list[list[str]], current: list[str]) -> None:
    # Each a second apart, so that no two are equally near by accident of time.
    past = [(tracks, NOW_MS - (200 - number) * 1_000_000) for number, tracks in enumerate(sessions)]
    found = held(past).next_to(current, 100, now_ms=NOW_MS)
    expected = brute(past, current, SMALL)
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-4)
    assert dict(found) == pytest.approx(dict(expected), rel=1e-4)


def test_worked_by_hand() -> None:
    past = [(["a", "b", "c"], NOW_MS), (["x", "y"], NOW_MS)]
    found = held(past).next_to(["q", "a"], 10, now_ms=NOW_MS)
    # One known track in common, of a session of three: 1 / sqrt(1 * 3); b is one place away, c two; each in one of two.
    assert [one for one, _ in found] == ["b", "c"]
    assert dict(found) == pytest.approx(
        {place: math.exp(-away / 5) / math.sqrt(3) * math.log(3) for place, away in (("b", 1), ("c", 2))}, rel=1e-5
    )


def test_order_decides_what_comes_next() -> None:
    past = [(["a", "b", "far", "more", "last"], NOW_MS)]
    assert [one for one, _ in held(past).next_to(["a"], 10, now_ms=NOW_MS)] == ["b", "far", "more", "last"]
    assert held(past).next_to(["last"], 1, now_ms=NOW_MS)[0][0] == "more"
    # What was heard last leads, not what was heard first.
    assert held(past).next_to(["a", "last"], 1, now_ms=NOW_MS)[0][0] == "more"


def test_a_session_of_long_ago_says_less() -> None:
    past = [(["a", "old"], NOW_MS - 60 * DAY_MS), (["a", "new"], NOW_MS)]
    found = dict(held(past).next_to(["a"], 10, now_ms=NOW_MS))
    assert found["old"] == pytest.approx(found["new"] * math.exp(-2), rel=1e-4)


def test_a_session_that_comes_twice_counts_once_and_a_single_track_is_none() -> None:
    sessions = PastSessions(SMALL)
    assert sessions.add("s", ["a", "b"], NOW_MS)
    assert not sessions.add("s", ["a", "b"], NOW_MS)
    assert not sessions.add("alone", ["a"], NOW_MS)
    assert len(sessions) == 1


def test_a_long_session_is_held_in_parts() -> None:
    sessions = PastSessions(SMALL)
    sessions.add("long", [f"t{n}" for n in range(12)], NOW_MS)
    assert len(sessions) == 3
    assert {one for one, _ in sessions.next_to(["t6"], 20, now_ms=NOW_MS)} == {"t5", "t7", "t8", "t9"}


def test_the_oldest_sessions_go_and_what_is_held_stays_bounded() -> None:
    past = [([f"t{n % 90}", f"t{(n + 1) % 90}", "all"], NOW_MS) for n in range(5_000)]
    sessions = held(past)
    assert len(sessions) == 50
    found = {one for one, _ in sessions.next_to(["all"], 100, now_ms=NOW_MS)}
    assert found <= {f"t{n % 90}" for n in range(4_950, 5_001)}
    # 91 tracks, each with room for at most 8 numbers, and for those they left behind: 4.
    assert len(sessions._postings) <= 2048


def test_no_more_tracks_are_known_than_stated() -> None:
    past = [([f"a{n}", f"b{n}"], NOW_MS) for n in range(80)]
    sessions = held(past, replace(SMALL, sessions=200))
    assert len(sessions.track_ids) == 100
    assert sessions.next_to(["a79"], 5, now_ms=NOW_MS) == []
    assert sessions.next_to(["a3"], 5, now_ms=NOW_MS)[0][0] == "b3"


def test_what_was_stored_answers_and_goes_on_as_before() -> None:
    rng = np.random.default_rng(4)
    past = [([NAMES[n] for n in rng.choice(12, 4, replace=False)], NOW_MS - 1000 * (300 - i)) for i in range(200)]
    one = held(past)
    again = PastSessions.restored(SMALL, *one.arrays())
    assert not again.add("s199", ["t0", "t1"], NOW_MS)
    for number in range(100):
        tracks = [NAMES[n] for n in rng.choice(12, 3, replace=False)] + [f"new {number % 30}"]
        assert one.add(f"n{number}", tracks, NOW_MS) is again.add(f"n{number}", tracks, NOW_MS) is True
    for name in NAMES:
        assert one.next_to([name], 20, now_ms=NOW_MS) == again.next_to([name], 20, now_ms=NOW_MS)


def test_another_configuration_is_refused() -> None:
    with pytest.raises(CheckpointMismatch, match="'width': 5"):
        PastSessions.restored(SMALL, *held([], replace(SMALL, width=6)).arrays())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1000)), max_size=400))
def test_postings_hold_the_last_of_each_item(pairs: list[tuple[int, int]]) -> None:
    postings = Postings(8)
    expected: dict[int, list[int]] = {}
    for item, number in pairs:
        postings.add(item, number)
        expected.setdefault(item, []).append(number)
    for item, numbers in expected.items():
        assert sorted(postings.of(item).tolist()) == sorted(numbers[-8:])
        assert postings.counts(np.array([item])).tolist() == [len(numbers)]
