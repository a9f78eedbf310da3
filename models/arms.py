"""Which of a few arms to play: river's Thompson sampling on how many tries of each were welcome, lately.

Tries are counted as sums that decay by the clock, so that counts of several learners add up in any order and what is
long ago is unsure again. Before the usual arm is known nothing else is tried; from then on the others begin as
likely worse, and have to show that they are better.

Source: O. Chapelle and L. Li, An Empirical Evaluation of Thompson Sampling, NIPS 2011; river's `bandit`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from msgspec import Struct

# Tracks of one list share their listener and moment: four tell as much as one try of its own.
WORTH = 0.25
# The others are tried once the usual arm has had so many tries.
KNOWN_FROM = 10.0
# Each of them begins as if tried so often, and so many of its own deviations below the usual one: it is drawn one time
# in twenty before anything is known of it.
TRIED, DOUBT = 40.0, 1.6


class Tries(Struct, array_like=True):
    """Decayed counts.

    Attributes:
        tried: how often, as of `at_ms`.
        glad: how often of these it was welcome.
        at_ms: of the latest try.
    """

    tried: float = 0.0
    glad: float = 0.0
    at_ms: float = 0.0

    def count(self, tried: float, glad: float, at_ms: float, half_life_ms: float) -> None:
        """Count tries of that time, or a change of how many were welcome; their order does not matter."""
        latest = max(self.at_ms, at_ms)
        kept, weight = _left(latest - self.at_ms, half_life_ms), _left(latest - at_ms, half_life_ms)
        self.tried = kept * self.tried + weight * tried
        self.glad = kept * self.glad + weight * glad
        self.at_ms = latest

    def at(self, now_ms: float, half_life_ms: float) -> tuple[float, float]:
        """`tried` and `glad` as they count now."""
        left = _left(max(0.0, now_ms - self.at_ms), half_life_ms)
        return left * self.tried, left * self.glad


def _left(age_ms: float, half_life_ms: float) -> float:
    return math.exp2(-min(1000.0, age_ms / half_life_ms))


class Arms:
    """The arms of one place, of which one is usual."""

    def __init__(self, tries: Mapping[str, tuple[float, float]], names: tuple[str, ...]) -> None:
        """What is believed of each.

        Args:
            tries: arm -> how often it was tried, and how often of these it was welcome.
            names: the arms, the usual one first; what else `tries` has is ignored.
        """
        from river import bandit, proba  # takes seconds to load, and before the first reactions nobody needs it

        chance = random.Random()

        class Belief(proba.Beta):  # type: ignore[misc]  # river has no types
            """A Beta whose counts may be parts of one, drawn by the chance of whoever asks."""

            def update(self, x: bool, times: float = 1.0) -> None:
                self.alpha += times * x
                self.beta += times * (not x)

            def sample(self) -> float:
                return chance.betavariate(self.alpha, self.beta)

        self._names, self._chance = names, chance
        self._policy = bandit.ThompsonSampling(reward_obj=Belief(1.0, 1.0))
        self.means: dict[str, float] = {}
        usual = _mean(1.0, 1.0, *_counted(tries, names[0]))
        worse = max(0.02, usual - DOUBT * math.sqrt(usual * (1 - usual) / TRIED))
        for name in names:
            glad, sorry = (0.0, 0.0) if name == names[0] else (TRIED * worse, TRIED * (1 - worse))
            more_glad, more_sorry = _counted(tries, name)
            glad, sorry = glad + more_glad, sorry + more_sorry
            # The reward must be a bool: river takes any other number above 0 for a success.
            self._policy.update(name, True, glad)
            self._policy.update(name, False, sorry)
            self.means[name] = _mean(1.0, 1.0, glad, sorry)

    def drawn(self, seed: int) -> str:
        """An arm, as likely as it is believed to be the best; the same for the same seed."""
        self._chance.seed(seed)
        return str(self._policy.pull(self._names))

    def best(self) -> str:
        """The arm of which most is expected; of equal ones the first."""
        return max(self._names, key=lambda name: self.means[name])


def is_known(tries: Mapping[str, tuple[float, float]], usual: str) -> bool:
    """Whether the usual arm was tried often enough to try others."""
    return sum(_counted(tries, usual)) >= KNOWN_FROM


def _counted(tries: Mapping[str, tuple[float, float]], name: str) -> tuple[float, float]:
    """How often welcome and how often not, as independent tries."""
    tried, glad = tries.get(name, (0.0, 0.0))
    return WORTH * glad, WORTH * max(0.0, tried - glad)


def _mean(alpha: float, beta: float, glad: float, sorry: float) -> float:
    return (alpha + glad) / (alpha + beta + glad + sorry)
