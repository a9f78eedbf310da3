"""Estimates of another policy, by hand and against the truth of a small world."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import TooFewTrials
from models.off_policy import Trials, effective_size, estimates, predicted


def trials(
    rewards: list[float], propensities: list[float], targets: list[float], answers: list[int] | None = None
) -> Trials:
    count = len(rewards)
    flat = np.zeros((count, 1))
    return Trials(
        np.array(answers or range(count)), np.array(rewards), np.array(propensities), np.array(targets), flat, flat
    )


# Weights 2, 0, 4, 1.
HAND = trials([1.0, 0.5, 0.0, -0.5], [0.5, 0.25, 0.25, 1.0], [1.0, 0.0, 1.0, 1.0])


def test_estimates_by_hand() -> None:
    found = estimates(HAND)
    assert found["logged"].value == pytest.approx(0.25)
    assert found["ips"].value == pytest.approx((2 - 0.5) / 4)
    assert found["snips"].value == pytest.approx(1.5 / 7)
    # Folds: answers 0 and 2, answers 1 and 3. One column of zeros and a constant under a ridge of 1:
    # the constant is the sum of the other fold's two rewards over 3: 0 for the first fold, 1/3 for the second.
    residuals = [2 * 1.0, 0.0, 0.0, 1 * (-0.5 - 1 / 3)]
    assert found["dr"].value == pytest.approx((0 + 1 / 3 + 0 + 1 / 3 + sum(residuals)) / 4)


def test_intervals_by_hand() -> None:
    # Terms 2, 0, 0, -0.5 around 0.375: squares 2.640625 + 0.140625 + 0.140625 + 0.765625 = 3.6875.
    reach = 1.959964 * np.sqrt(3.6875 / 3 / 4)
    found = estimates(HAND)["ips"]
    assert (found.low, found.high) == (pytest.approx(0.375 - reach), pytest.approx(0.375 + reach))
    wider = estimates(HAND, confidence=0.99)["ips"]
    assert (wider.high - wider.low) / (found.high - found.low) == pytest.approx(2.575829 / 1.959964)


def test_choices_of_one_answer_count_together() -> None:
    # Two answers with sums 2 + 0 and 0 - 0.5: around 0.375 a choice they are 1.25 and -1.25 off.
    found = estimates(trials([1.0, 0.5, 0.0, -0.5], [0.5, 0.25, 0.25, 1.0], [1.0, 0.0, 1.0, 1.0], [0, 0, 1, 1]))["ips"]
    assert found.high - found.value == pytest.approx(1.959964 * np.sqrt(2 * 1.25**2 * 2) / 4)


def test_effective_size_by_hand() -> None:
    assert effective_size(np.array([2.0, 0.0, 4.0, 1.0])) == pytest.approx(49 / 21)
    assert effective_size(np.ones(5)) == 5
    assert effective_size(np.zeros(5)) == 0


def test_nobody_s_reward_is_predicted_from_itself() -> None:
    base = trials([1.0, 1.0, 1.0, 1.0], [0.5] * 4, [0.5] * 4)
    changed = trials([9.0, 1.0, 1.0, 1.0], [0.5] * 4, [0.5] * 4)
    assert predicted(base)[0][0] == predicted(changed)[0][0]
    assert predicted(base)[0][1] != predicted(changed)[0][1]


def test_a_single_answer_tells_nothing() -> None:
    with pytest.raises(TooFewTrials):
        estimates(trials([1.0, 1.0], [0.5, 0.5], [0.5, 0.5], [3, 3]))


class World:
    """Five tracks to choose among, features at random, rewards that are not quite linear in them."""

    size, features = 5, 3

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def truth(self, pools: np.ndarray) -> np.ndarray:
        """(N, size) of (N, size, features): what each track earns on average."""
        return 0.3 + pools @ np.array([0.4, -0.2, 0.1]) + 0.2 * np.sin(3 * pools[..., 0])

    def pools(self, count: int) -> np.ndarray:
        return self.rng.normal(size=(count, self.size, self.features)) * 0.5

    def logged(self, pools: np.ndarray) -> np.ndarray:
        """(N, size) of being drawn: by a score that is wrong, and in part even."""
        weights = np.exp(pools @ np.array([-1.0, 0.5, 1.0]))
        return 0.7 * weights / weights.sum(axis=1, keepdims=True) + 0.3 / self.size

    def wanted(self, pools: np.ndarray) -> np.ndarray:
        """(N,) what another policy would draw: the greatest of its own score."""
        return (pools @ np.array([0.5, 0.1, 0.3])).argmax(axis=1)

    def run(self, answers: int, each: int = 2) -> Trials:
        pools = self.pools(answers * each)
        every = np.arange(len(pools))
        chances = self.logged(pools)
        drawn = (chances.cumsum(axis=1) > self.rng.random((len(pools), 1))).argmax(axis=1)
        # Listeners differ, and what one answer earns has that in common.
        listener = np.repeat(self.rng.normal(0, 0.3, answers), each)
        rewards = self.truth(pools)[every, drawn] + listener + self.rng.normal(0, 0.5, len(pools))
        wanted = self.wanted(pools)
        return Trials(
            np.repeat(np.arange(answers), each),
            rewards,
            chances[every, drawn],
            (wanted == drawn).astype(float),
            pools[every, drawn],
            pools[every, wanted],
        )


@pytest.fixture(scope="module")
def truths() -> dict[str, float]:
    world = World(10_000)
    pools = world.pools(400_000)
    earned = world.truth(pools)
    other = float(earned[np.arange(len(pools)), world.wanted(pools)].mean())
    return {
        "logged": float((world.logged(pools) * earned).sum(axis=1).mean()),
        "ips": other,
        "snips": other,
        "dr": other,
    }


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_intervals_hold_the_truth_as_often_as_they_say(truths: dict[str, float], confidence: float) -> None:
    runs = 500
    held = dict.fromkeys(truths, 0)
    for seed in range(runs):
        for name, found in estimates(World(seed).run(300), confidence).items():
            held[name] += found.low <= truths[name] <= found.high
    chance = 3.3 * np.sqrt(confidence * (1 - confidence) / runs)
    for name, count in held.items():
        assert abs(count / runs - confidence) < chance, (name, count / runs)


def test_a_model_of_the_reward_makes_the_interval_smaller_and_no_estimate_is_off_on_average(
    truths: dict[str, float],
) -> None:
    runs = [estimates(World(seed).run(300)) for seed in range(200)]
    widths = {name: np.mean([one[name].high - one[name].low for one in runs]) for name in truths}
    assert widths["dr"] < 0.95 * widths["ips"]
    for name, truth in truths.items():
        values = [one[name].value for one in runs]
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / np.sqrt(len(runs)), name
