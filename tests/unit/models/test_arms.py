"""Arms that earn more are drawn more, the usual one until then, and old tries fade."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from river import proba

from models.arms import KNOWN_FROM, WORTH, Arms, Tries, is_known

DAY = 86_400_000.0
NAMES = ("usual", "other", "third")


def shares(arms: Arms, draws: int = 3_000) -> dict[str, float]:
    counted = Counter(arms.drawn(seed) for seed in range(draws))
    return {name: counted[name] / draws for name in NAMES}


def test_river_takes_any_reward_above_nothing_for_a_success() -> None:
    """Why a reward is made a bool, and its weight told apart."""
    belief = proba.Beta(1, 1)
    belief.update(0.1)
    assert (belief.alpha, belief.beta) == (2, 1)


def test_tries_fade_by_the_clock_and_their_order_does_not_matter() -> None:
    # By hand: at 30 days, with a half-life of 10, tries of day 0 count an eighth and those of day 20 half.
    for order in itertools.permutations([(0.0, 8.0, 4.0), (20 * DAY, 2.0, 0.0), (30 * DAY, 1.0, 1.0)]):
        tries = Tries()
        for at_ms, tried, glad in order:
            tries.count(tried, glad, at_ms, 10 * DAY)
        assert (tries.tried, tries.glad, tries.at_ms) == (pytest.approx(3.0), pytest.approx(1.5), 30 * DAY)
    assert tries.at(40 * DAY, 10 * DAY) == pytest.approx((1.5, 0.75))
    assert tries.at(1e6 * DAY, 10 * DAY) == pytest.approx((0, 0))


def test_the_usual_arm_is_known_after_some_lists() -> None:
    assert not is_known({"other": (1_000.0, 500.0)}, "usual")
    assert is_known({"usual": (KNOWN_FROM / WORTH, 0.0)}, "usual")


def test_an_untried_arm_is_drawn_now_and_then_and_the_usual_one_mostly() -> None:
    found = shares(Arms({"usual": (4_000.0, 2_000.0), "of last year": (9.0, 9.0)}, NAMES))
    # 1.6 deviations below: a normal is above that one time in eighteen.
    assert found["other"] == pytest.approx(0.055, abs=0.03)
    assert found["usual"] > 0.8


def test_the_better_arm_wins_and_the_worse_is_hardly_drawn_any_more() -> None:
    arms = Arms({"usual": (4_000.0, 2_000.0), "other": (4_000.0, 2_600.0), "third": (4_000.0, 1_500.0)}, NAMES)
    found = shares(arms)
    assert found["other"] > 0.95
    assert found["third"] < 0.01
    assert arms.best() == "other"


def test_draws_are_those_of_the_beta_distributions() -> None:
    arms = Arms({"usual": (160.0, 80.0), "other": (160.0, 90.0)}, NAMES[:2])
    rng = np.random.default_rng(3)
    # 160 tries count as 40; the prior of the other: 40 tries at 1.6 deviations below a half.
    worse = 40 * (0.5 - 1.6 * 0.5 / np.sqrt(40))
    usual, other = rng.beta(21, 21, 200_000), rng.beta(1 + worse + 22.5, 1 + 40 - worse + 17.5, 200_000)
    assert shares(arms)["other"] == pytest.approx((other > usual).mean(), abs=0.03)


def test_a_request_that_comes_again_draws_the_same() -> None:
    tries = {"usual": (100.0, 50.0), "other": (100.0, 50.0)}
    arms, again = Arms(tries, NAMES), Arms(tries, NAMES)
    drawn = [arms.drawn(seed) for seed in range(200)]
    assert drawn == [again.drawn(seed) for seed in range(200)] == [arms.drawn(seed) for seed in range(200)]
    assert len(set(drawn)) > 1
