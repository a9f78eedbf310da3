"""What another policy would have earned, told from the log of one that drew its choices with known probabilities.

Source: D. G. Horvitz and D. J. Thompson, JASA 1952 (`ips`: inverse propensity scores); A. Swaminathan and T. Joachims,
The Self-Normalized Estimator for Counterfactual Learning, NIPS 2015 (`snips`); M. Dudík, J. Langford and L. Li, Doubly
Robust Policy Evaluation and Learning, ICML 2011 (`dr`). Intervals take the choices of one answer together, as they
share their listener: W. G. Cochran, Sampling Techniques, 1977, section 6 (a ratio of sums over clusters).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from models.bandit import Array
from models.errors import TooFewTrials

# Cross-fitting: nobody's reward is predicted from itself.
FOLDS = 2
RIDGE = 1.0


@dataclass(frozen=True)
class Trials:
    """Choices that were drawn, N of them.

    Attributes:
        answers: (N,) int, which answer each belongs to.
        rewards: (N,).
        propensities: (N,) in 0..1, above 0: with which the logged policy drew what it drew.
        targets: (N,) in 0..1, with which the other policy would have.
        drawn: (N, d) features of what was drawn.
        wanted: (N, d) features of what the other policy would have drawn, on average.
    """

    answers: NDArray[np.int64]
    rewards: Array
    propensities: Array
    targets: Array
    drawn: Array
    wanted: Array

    @property
    def weights(self) -> Array:
        """(N,) how much more often the other policy would have drawn each."""
        return self.targets / self.propensities


@dataclass(frozen=True)
class Estimate:
    """A mean reward a choice, with the interval in which the truth lies as often as was asked for."""

    value: float
    low: float
    high: float


def estimates(trials: Trials, confidence: float = 0.95) -> dict[str, Estimate]:
    """The other policy's mean reward a choice by `ips`, `snips` and `dr`, and beside them what was `logged`.

    Raises:
        TooFewTrials: there are fewer than two answers.
    """
    if len(np.unique(trials.answers)) < 2:
        raise TooFewTrials(f"expected explored tracks of at least 2 answers, got {len(np.unique(trials.answers))}")
    weights, rewards = trials.weights, trials.rewards
    of_drawn, of_wanted = predicted(trials)
    ones = np.ones(len(rewards))
    return {
        "logged": ratio(rewards, ones, trials.answers, confidence),
        "ips": ratio(weights * rewards, ones, trials.answers, confidence),
        "snips": ratio(weights * rewards, weights, trials.answers, confidence),
        "dr": ratio(of_wanted + weights * (rewards - of_drawn), ones, trials.answers, confidence),
    }


def effective_size(weights: Array) -> float:
    """How many choices of the other policy's own the weighted ones are worth.

    Source: L. Kish, Survey Sampling, 1965.
    """
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def predicted(trials: Trials) -> tuple[Array, Array]:
    """(N,) rewards that a linear model expects of what was drawn, and of what the other policy would have drawn.

    By cross-fitting: the model of a fold has learnt from the other answers' rewards only.
    """
    of_drawn, of_wanted = np.zeros(len(trials.rewards)), np.zeros(len(trials.rewards))
    folds = np.unique(trials.answers, return_inverse=True)[1] % FOLDS
    for fold in range(FOLDS):
        here, there = folds == fold, folds != fold
        rows = _with_one(trials.drawn[there])
        ridge = RIDGE * np.eye(rows.shape[1])
        weights = np.linalg.solve(rows.T @ rows + ridge, rows.T @ trials.rewards[there])
        of_drawn[here] = _with_one(trials.drawn[here]) @ weights
        of_wanted[here] = _with_one(trials.wanted[here]) @ weights
    return of_drawn, of_wanted


def _with_one(rows: Array) -> Array:
    return np.hstack([rows, np.ones((len(rows), 1))])


def ratio(above: Array, below: Array, answers: NDArray[np.int64], confidence: float) -> Estimate:
    """A ratio of sums, with the interval that the differences between answers give."""
    total = float(below.sum())
    value = float(above.sum()) / total if total else 0.0
    places = np.unique(answers, return_inverse=True)[1]
    left = np.bincount(places, above - value * below)
    count = len(left)
    deviation = np.sqrt((left**2).sum() * count / (count - 1)) / total if total else np.inf
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * float(deviation)
    return Estimate(value, value - reach, value + reach)
