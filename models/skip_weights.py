"""How likely tracks are to be skipped, by weights that several learners have learnt: for many tracks at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.bandit import Array

# Who has learnt from more examples has forgotten the first of them.
SEEN_MAX = 5_000
# Nothing known counts as so many examples.
SHY = 100.0


@dataclass(frozen=True)
class SkipWeights:
    """A logistic regression.

    Attributes:
        weights: (F,) log-odds per unit of each feature.
        intercept: log-odds of a track whose features are all 0.
        seen: examples behind it, at most `SEEN_MAX`.
    """

    weights: Array
    intercept: float = 0.0
    seen: int = 0

    @classmethod
    def of_nothing(cls, size: int) -> SkipWeights:
        """Nothing learnt of `size` features."""
        return cls(np.zeros(size))

    def chances(self, rows: Array) -> Array:
        """(N,) in 0..1 of (N, F); 0.5 each when nothing was learnt."""
        chances: Array = 1 / (1 + np.exp(-np.clip(rows @ self.weights + self.intercept, -30, 30)))
        return chances


def averaged(some: Iterable[SkipWeights], size: int) -> SkipWeights:
    """What several learners know together: the mean by examples, drawn towards knowing nothing.

    Source: M. Zinkevich et al., Parallelized Stochastic Gradient Descent, NIPS 2010.
    """
    found = list(some)
    seen = sum(one.seen for one in found)
    weights, intercept = np.zeros(size), 0.0
    for one in found:
        share = one.seen / (seen + SHY)
        weights += share * one.weights
        intercept += share * one.intercept
    return SkipWeights(weights, intercept, seen)
