"""What is reported of lives written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.simulator.life import Plan, Streak, Told
from bench.simulator.measures import compare, reached, share_left, until_followed, until_known
from bench.simulator.policies import CHANNELS, POLICIES, only, policy_of

PLAN = Plan(listeners=2, sessions=2, lists=1, length=4, drifts_at=1, seed=0)


def told(completed: int, skipped: int, first: int = 0) -> Told:
    rows = tuple(range(first, first + completed + skipped))
    return Told(rows, completed, skipped, 60_000 * completed, regret=skipped / 10, spread=0.5)


def test_shares_are_of_all_tracks_and_minutes_a_listener() -> None:
    lives = [[[told(3, 1)], [told(1, 3)]], [[told(4, 0, 100)], [told(0, 4)]]]
    found = compare({"one": lives}, PLAN, tracks=16)["policies"]["one"]
    assert found["completed"]["value"] == 0.5
    assert found["skipped"]["value"] == 0.5
    assert found["minutes"]["value"] == 4.0
    assert found["regret"]["value"] == pytest.approx((0.1 + 0.3 + 0 + 0.4) / 4)
    assert found["share of catalogue"] == 0.5
    assert reached(lives) == 8


def test_differences_are_paired_by_listener() -> None:
    # The second is worse by one track of eight for everybody, however different the listeners are.
    better = [[[told(4, 0)], [told(4, 0)]], [[told(1, 3)], [told(1, 3)]]]
    worse = [[[told(4, 0)], [told(3, 1)]], [[told(1, 3)], [told(0, 4)]]]
    found = compare({"better": better, "worse": worse}, PLAN, tracks=16)
    low, high = found["policies"]["better"]["completed"]["interval"]
    assert (low, high) == (0.25, 1.0)
    assert found["differences"]["worse"]["completed"] == {"value": 0.125, "interval": [0.125, 0.125]}


def test_gain_is_of_what_is_completed_once_a_hundred_tracks_are_heard() -> None:
    # Ten lists of ten tracks come first; then the one completes six of ten and the other four.
    plan = Plan(listeners=2, sessions=11, lists=1, length=10, drifts_at=9, seed=0)
    better = [[*[[told(0, 10)]] * 10, [told(6, 4)]]] * 2
    worse = [[*[[told(9, 1)]] * 10, [told(4, 6)]]] * 2
    found = compare({"better": better, "worse": worse}, plan, tracks=16)
    assert found["gains"]["worse"] == {"value": 0.5, "interval": [0.5, 0.5]}


def test_what_a_streak_leaves_of_a_pocket() -> None:
    found = share_left([Streak(0.8, 0.2), Streak(0.6, 0.3), Streak(0.6, 0.1)])
    assert (found["before"], found["after"], found["share left"]["value"]) == (0.6667, 0.2, 0.3)
    low, high = found["share left"]["interval"]
    assert 1 / 6 <= low < 0.3 < high <= 0.5
    assert share_left([]) == {"listeners": 0}


def test_a_newcomer_is_known_when_three_sessions_reach_four_fifths() -> None:
    # The last third before the drift is worth 0.5; four fifths of that are 0.4.
    curve = np.array([0.0, 0.1, 0.4, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 0.31, 0.45, 0.45])
    assert until_known(curve, 9) == 2
    assert until_followed(curve, 9) == 1
    assert until_followed(np.array([0.5] * 9 + [0.1] * 4), 9) == 4


def test_a_policy_is_named_or_stated() -> None:
    assert policy_of("popularity")[1] is POLICIES["popularity"]
    assert policy_of("mine:session=off;channels=rising=off")[1].settings == {"session": "off", "channels": "rising=off"}
    assert sorted(only("acoustic").split(",")) == sorted(f"{one}=off" for one in CHANNELS if one != "acoustic")
