"""The model that ranks, held against river's regression and against least squares written out."""

from __future__ import annotations

import numpy as np
import pytest
from river.linear_model import BayesianLinearRegression

from models.bandit import Evidence, Posterior, Prior, posterior_of
from models.errors import EvidenceDamaged, FeatureShapeError, RewardOutOfRange

DAY = 86_400_000.0
NOISE = 0.5


def prior(size: int, sd: float = 0.7) -> Prior:
    return Prior(np.zeros(size), np.full(size, sd), NOISE)


def seen(rows: np.ndarray, rewards: np.ndarray, times: np.ndarray, half_life: float = 10 * DAY) -> Evidence:
    evidence = Evidence(rows.shape[1], half_life)
    for row, earned, at in zip(rows, rewards, times, strict=True):
        evidence.learn(row, float(earned), at_ms=float(at), is_new=True)
    return evidence


def draws(count: int, size: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, size))
    return rows, np.clip(rows @ np.linspace(-0.5, 0.5, size) + rng.normal(0, NOISE, count), -2, 4)


def test_without_forgetting_it_is_the_regression_of_river() -> None:
    rows, rewards = draws(80, 5)
    oracle = BayesianLinearRegression(alpha=1 / 0.7**2, beta=1 / NOISE**2)
    for row, earned in zip(rows, rewards, strict=True):
        oracle.learn_one(dict(enumerate(row)), float(earned))
    learnt = posterior_of(prior(5), [seen(rows, rewards, np.zeros(80))], now_ms=0)
    asked = draws(7, 5, seed=2)[0]
    told = [oracle.predict_one(dict(enumerate(row)), with_dist=True) for row in asked]
    assert learnt.expected(asked) == pytest.approx([one.mu for one in told])
    # river's deviation is that of a reward, noise and all.
    assert np.hypot(learnt.deviation(asked), NOISE) == pytest.approx([one.sigma for one in told])


def test_what_is_old_counts_half_after_each_half_life() -> None:
    rows, rewards = draws(60, 3)
    times = np.linspace(0, 50 * DAY, 60)
    learnt = posterior_of(prior(3), [seen(rows, rewards, times)], now_ms=60 * DAY)
    weights = 0.5 ** ((60 * DAY - times) / (10 * DAY))
    precision = np.eye(3) / 0.7**2 + (rows * weights[:, None]).T @ rows / NOISE**2
    expected = np.linalg.solve(precision, (weights * rewards) @ rows / NOISE**2)
    assert learnt.mean == pytest.approx(expected)
    assert learnt.spread @ learnt.spread.T == pytest.approx(np.linalg.inv(precision))
    assert learnt.count == pytest.approx(weights.sum())


def test_evidence_of_several_learners_adds_up_in_any_order() -> None:
    rows, rewards = draws(60, 4)
    times = np.random.default_rng(3).uniform(0, 90 * DAY, 60)
    whole = posterior_of(prior(4), [seen(rows, rewards, times)], now_ms=90 * DAY)
    parts = [seen(rows[part], rewards[part], times[part]) for part in (slice(45, None), slice(0, 20), slice(20, 45))]
    together = posterior_of(prior(4), parts, now_ms=90 * DAY)
    assert together.mean == pytest.approx(whole.mean)
    assert together.spread @ together.spread.T == pytest.approx(whole.spread @ whole.spread.T)


def test_a_reward_that_grows_ends_as_if_it_had_come_at_once() -> None:
    rows, rewards = draws(10, 3)
    at_once, grown = seen(rows, rewards, np.full(10, DAY)), seen(rows, rewards / 2, np.full(10, DAY))
    for row, earned in zip(rows, rewards, strict=True):
        grown.learn(row, float(earned / 2), at_ms=DAY, is_new=False)
    assert grown.moment == pytest.approx(at_once.moment)
    assert grown.gram == pytest.approx(at_once.gram)
    assert (grown.count, grown.total) == (10, pytest.approx(at_once.total))


def test_the_prior_speaks_where_nothing_was_seen_and_again_once_it_is_forgotten() -> None:
    told = Prior(np.array([1.0, -0.5]), np.array([0.3, 0.2]), NOISE)
    nothing = posterior_of(told, [], now_ms=0)
    assert nothing.mean == pytest.approx([1.0, -0.5])
    assert nothing.deviation(np.eye(2)) == pytest.approx([0.3, 0.2])
    evidence = seen(np.eye(2).repeat(100, axis=0), np.full(200, 3.0), np.zeros(200))
    assert posterior_of(told, [evidence], now_ms=0).mean == pytest.approx([3.0, 3.0], abs=0.3)
    assert posterior_of(told, [evidence], now_ms=400 * DAY).mean == pytest.approx([1.0, -0.5], abs=1e-3)


def test_draws_are_spread_as_the_belief_is() -> None:
    rows, rewards = draws(20, 3)
    learnt = posterior_of(prior(3), [seen(rows, rewards, np.zeros(20))], now_ms=0)
    rng = np.random.default_rng(5)
    drawn = np.stack([learnt.drawn(rng) for _ in range(40_000)])
    covariance = np.linalg.inv(np.eye(3) / 0.7**2 + rows.T @ rows / NOISE**2)
    assert drawn.mean(axis=0) == pytest.approx(learnt.mean, abs=4 * np.sqrt(covariance.max() / 40_000))
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=4 * covariance.max() / 100)


def test_an_impression_a_century_on_overflows_nothing() -> None:
    evidence = seen(np.ones((2, 1)), np.array([3.0, 1.0]), np.array([0.0, 36_500 * DAY]))
    learnt = posterior_of(Prior(np.zeros(1), np.ones(1), 1.0), [evidence], now_ms=36_500 * DAY)
    assert learnt.mean == pytest.approx([0.5])


def test_another_half_life_holds_from_now_on() -> None:
    evidence = seen(np.ones((1, 1)), np.array([1.0]), np.zeros(1), half_life=10 * DAY)
    evidence.move_landmark(10 * DAY, 5 * DAY)
    assert evidence.worth(20 * DAY) * evidence.count == pytest.approx(0.5 * 0.25)


@pytest.mark.parametrize("earned", [float("nan"), float("inf"), 4.6, -2.6, 1e9])
def test_a_reward_that_nobody_can_earn_is_refused(earned: float) -> None:
    evidence = Evidence(2, DAY)
    with pytest.raises(RewardOutOfRange):
        evidence.learn(np.ones(2), earned, at_ms=0, is_new=True)
    with pytest.raises(RewardOutOfRange):
        evidence.learn(np.array([1.0, np.nan]), 1.0, at_ms=0, is_new=True)
    with pytest.raises(FeatureShapeError):
        evidence.learn(np.ones(3), 1.0, at_ms=0, is_new=True)
    assert evidence.count == 0
    assert not evidence.gram.any()


def test_evidence_that_no_impressions_add_up_to_is_no_belief() -> None:
    evidence = seen(*draws(9, 3), np.zeros(9))
    evidence.gram[:] = [[1, 50, 0], [50, 1, 0], [0, 0, 1]]
    with pytest.raises(EvidenceDamaged):
        posterior_of(prior(3), [evidence], now_ms=0)


def test_a_better_choice_is_found_by_draws() -> None:
    rng = np.random.default_rng(8)
    arms, truth = np.eye(4), np.array([0.1, 0.2, 0.6, 0.3])
    evidence = Evidence(4, 1000 * DAY)
    chosen = []
    for _ in range(600):
        believed: Posterior = posterior_of(prior(4, 1.0), [evidence], now_ms=0)
        arm = int(np.argmax(arms @ believed.drawn(rng)))
        evidence.learn(arms[arm], float(np.clip(truth[arm] + rng.normal(0, NOISE), -2, 4)), at_ms=0, is_new=True)
        chosen.append(arm)
    assert chosen[-200:].count(2) > 150
