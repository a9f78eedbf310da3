"""A ranking that learns: one linear model of the reward, shared by all, with how unsure it is of itself.

Discounted Bayesian linear regression. What was seen is kept as sums (a Gram matrix and a moment), so that the evidence
of several learners adds up; each impression counts half after a half-life, so that the model follows what changes and
grows unsure again of what it no longer sees. A hand-set prior speaks where there is no evidence yet.

Source: C. M. Bishop, Pattern Recognition and Machine Learning, 2006, section 3.3 (posterior of linear regression);
O. Chapelle and L. Li, An Empirical Evaluation of Thompson Sampling, NIPS 2011; Y. Russac, C. Vernade and O. Cappé,
Weighted Linear Bandits for Non-Stationary Environments, NeurIPS 2019 (discounting); G. Cormode et al., Forward Decay,
ICDE 2009.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.errors import EvidenceDamaged, FeatureShapeError, RewardOutOfRange
from models.rewards import LEAST, MOST

Array = NDArray[np.float64]

# Further apart than this, one of two weights says nothing, and a double would overflow.
HALF_LIVES_MAX = 60.0


@dataclass(frozen=True)
class Prior:
    """What is believed before anything was seen.

    Attributes:
        mean: (d,) reward per unit of each feature.
        sd: (d,) > 0, how unsure that is.
        noise_sd: how far rewards are from what their features tell.
    """

    mean: Array
    sd: Array
    noise_sd: float


class Evidence:
    """Impressions and what they earned, as decayed sums: (d, d), (d,) and two numbers, however many there were.

    Attributes:
        gram: sum of weight * x xᵀ.
        moment: sum of weight * reward * x.
        count: sum of weights.
        total: sum of weight * reward.
        landmark_ms: an impression of that time weighs 1.
    """

    def __init__(self, size: int, half_life_ms: float) -> None:
        """Nothing seen; `size` is d."""
        self.gram: Array = np.zeros((size, size))
        self.moment: Array = np.zeros(size)
        self.count = 0.0
        self.total = 0.0
        self.landmark_ms: float | None = None
        self.half_life_ms = half_life_ms

    def learn(self, features: Array, change: float, *, at_ms: float, is_new: bool) -> None:
        """Count an impression's reward, or a change of it.

        Args:
            features: (d,) of the impression.
            change: reward so far when it `is_new`; later, by how much the reward has changed.
            at_ms: when it was shown; the same each time.
            is_new: whether the impression is counted for the first time.

        Raises:
            FeatureShapeError: another number of features.
            RewardOutOfRange: no behaviour earns that, or it is not finite; so is a feature that is not finite.
        """
        if features.shape != self.moment.shape:
            raise FeatureShapeError(f"expected {self.moment.shape} features, got {features.shape}")
        if not abs(change) <= MOST - LEAST or (is_new and not LEAST <= change <= MOST):
            raise RewardOutOfRange(f"expected a reward in {LEAST}..{MOST}, got {change}")
        if not np.isfinite(features).all():
            raise RewardOutOfRange("expected finite features, got NaN or infinity")
        weight = self._weight(at_ms)
        self.moment += (weight * change) * features
        self.total += weight * change
        if is_new:
            self.gram += np.outer(weight * features, features)
            self.count += weight

    def _weight(self, at_ms: float) -> float:
        if self.landmark_ms is None:
            self.landmark_ms = at_ms
        if (at_ms - self.landmark_ms) / self.half_life_ms > HALF_LIVES_MAX:
            self.move_landmark(at_ms)
        return math.exp2((at_ms - self.landmark_ms) / self.half_life_ms)

    def worth(self, now_ms: float) -> float:
        """What an impression that weighs 1 in the sums is worth now."""
        if self.landmark_ms is None:
            return 0.0
        return math.exp2(max(-1000.0, min((self.landmark_ms - now_ms) / self.half_life_ms, HALF_LIVES_MAX)))

    def move_landmark(self, at_ms: float, half_life_ms: float | None = None) -> None:
        """The same evidence with another landmark, and from there on perhaps another half-life."""
        if self.landmark_ms is not None:
            factor = self.worth(at_ms)
            self.gram *= factor
            self.moment *= factor
            self.count *= factor
            self.total *= factor
            self.landmark_ms = at_ms
        self.half_life_ms = half_life_ms or self.half_life_ms


@dataclass(frozen=True)
class Posterior:
    """What is believed of the weights.

    Attributes:
        mean: (d,).
        spread: (d, d); a standard normal vector times it is a draw around the mean.
        count: decayed impressions behind it.
    """

    mean: Array
    spread: Array
    count: float = 0.0

    def expected(self, features: Array) -> Array:
        """(N,) the reward to expect of each of (N, d)."""
        return features @ self.mean

    def deviation(self, features: Array) -> Array:
        """(N,) how unsure that is: a standard deviation."""
        deviations: Array = np.sqrt(((features @ self.spread) ** 2).sum(axis=1))
        return deviations

    def drawn(self, rng: np.random.Generator) -> Array:
        """(d,) weights as likely as they are believed: Thompson sampling scores with these."""
        return self.mean + self.spread @ rng.standard_normal(len(self.mean))


def posterior_of(prior: Prior, evidence: Iterable[Evidence], *, now_ms: float) -> Posterior:
    """Prior and all evidence together, each piece decayed to `now_ms`.

    Raises:
        EvidenceDamaged: it cannot have come from impressions (no positive definite precision, or not finite).
    """
    noise = 1.0 / prior.noise_sd**2
    precision = np.diag(prior.sd**-2.0)
    moment = prior.mean * prior.sd**-2.0
    count = 0.0
    for one in evidence:
        worth = one.worth(now_ms)
        precision = precision + noise * worth * one.gram
        moment = moment + noise * worth * one.moment
        count += worth * one.count
    try:
        # precision = L Lᵀ, so (L⁻¹)ᵀ z has covariance precision⁻¹.
        spread = np.linalg.inv(np.linalg.cholesky(precision)).T
    except np.linalg.LinAlgError as error:
        raise EvidenceDamaged(f"expected a positive definite precision: {error}") from error
    mean = spread @ (spread.T @ moment)
    if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
        raise EvidenceDamaged("expected finite weights")
    return Posterior(mean, spread, count)


class _Told(msgspec.Struct, array_like=True):
    features: str
    count: float
    mean: bytes
    spread: bytes


_decode_told = msgspec.msgpack.Decoder(_Told).decode


def encode_posterior(posterior: Posterior, features: str) -> bytes:
    """A posterior to go back to: a checksum, then what is believed."""
    told = _Told(features, posterior.count, posterior.mean.tobytes(), posterior.spread.tobytes())
    body = msgspec.msgpack.encode(told)
    return zlib.crc32(body).to_bytes(4, "big") + body


def decode_posterior(value: bytes, features: str, size: int) -> Posterior:
    """The posterior in `value`, of `size` features of this version.

    Raises:
        EvidenceDamaged: it is something else, of other features, or not finite.
    """
    try:
        if zlib.crc32(value[4:]) != int.from_bytes(value[:4], "big"):
            raise EvidenceDamaged("expected another checksum: bytes are not as they were written")
        told = _decode_told(value[4:])
        mean, spread = np.frombuffer(told.mean).copy(), np.frombuffer(told.spread).reshape(size, size).copy()
    except (ValueError, msgspec.DecodeError) as error:
        raise EvidenceDamaged(f"expected a posterior of {size} features, got {len(value)} bytes: {error}") from error
    if told.features != features or mean.shape != (size,):
        raise EvidenceDamaged(f"expected a posterior of features {features}, got {told.features}")
    if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
        raise EvidenceDamaged("expected finite weights")
    return Posterior(mean, spread, told.count)
