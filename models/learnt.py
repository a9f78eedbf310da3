"""All that one learner has learnt, in one value with the offset of the last record that is in it."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, field

import msgspec
import numpy as np

from models.arms import Tries
from models.bandit import Evidence
from models.errors import EvidenceDamaged
from models.skip_weights import SkipWeights

_HEAD = struct.Struct(">qI")


@dataclass
class Learnt:
    """What impressions and the reactions to them have taught.

    Attributes:
        evidence: what the ranking learns from.
        skips: what the likeliness of a skip is told by.
        tries: place of an arm -> how it did there.
    """

    evidence: Evidence
    skips: SkipWeights
    tries: dict[str, Tries] = field(default_factory=dict)

    def forget_by(self, half_life_ms: float, now_ms: float) -> None:
        """Forget with another half-life from now on."""
        for one in self.tries.values():
            one.tried, one.glad = one.at(now_ms, self.evidence.half_life_ms)
            one.at_ms = max(one.at_ms, now_ms)
        self.evidence.move_landmark(now_ms, half_life_ms)


class _Body(msgspec.Struct, array_like=True):
    features: str
    half_life_ms: float
    landmark_ms: float | None
    count: float
    total: float
    moment: bytes
    gram: bytes
    tries: dict[str, Tries]
    skip_weights: bytes
    skip_intercept: float
    skips_seen: int


_decode_body = msgspec.msgpack.Decoder(_Body).decode


def encode_learnt(learnt: Learnt, through: int, features: str) -> bytes:
    """What was learnt with the offset of the last record that is in it.

    The first eight bytes are that offset, big-endian; then come a checksum and the rest.
    """
    evidence, skips = learnt.evidence, learnt.skips
    rows = np.triu_indices(len(evidence.moment))
    body = msgspec.msgpack.encode(
        _Body(
            features,
            evidence.half_life_ms,
            evidence.landmark_ms,
            evidence.count,
            evidence.total,
            evidence.moment.tobytes(),
            evidence.gram[rows].tobytes(),
            learnt.tries,
            skips.weights.tobytes(),
            skips.intercept,
            skips.seen,
        )
    )
    return _HEAD.pack(through, _checksum(through, body)) + body


def decode_learnt(value: bytes, features: str, size: int, skip_size: int) -> tuple[Learnt, int]:
    """What was learnt, and the offset of the last record that is in it.

    Args:
        value: as `encode_learnt` wrote it.
        features: version of the features that is expected.
        size: how many they are.
        skip_size: how many the likeliness of a skip is told by.

    Raises:
        EvidenceDamaged: it is something else, of other features, or holds what no impressions add up to.
    """
    try:
        through, checksum = _HEAD.unpack_from(value)
        raw = value[_HEAD.size :]
        if checksum != _checksum(through, raw):
            raise EvidenceDamaged("expected another checksum: bytes are not as they were written")
        body = _decode_body(raw)
        if body.features != features:
            raise EvidenceDamaged(f"expected evidence of features {features}, got {body.features}")
        evidence = Evidence(size, body.half_life_ms)
        evidence.landmark_ms, evidence.count, evidence.total = body.landmark_ms, body.count, body.total
        evidence.moment = np.frombuffer(body.moment).copy()
        rows = np.triu_indices(size)
        evidence.gram[rows] = np.frombuffer(body.gram)
        skips = SkipWeights(np.frombuffer(body.skip_weights).copy(), body.skip_intercept, body.skips_seen)
    except (struct.error, ValueError, msgspec.DecodeError) as error:
        raise EvidenceDamaged(f"expected evidence of {size} features, got {len(value)} bytes: {error}") from error
    evidence.gram = np.triu(evidence.gram) + np.triu(evidence.gram, 1).T
    learnt = Learnt(evidence, skips, body.tries)
    _require_possible(learnt, size, skip_size)
    return learnt, through


def _checksum(through: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(through.to_bytes(8, "big", signed=True)))


def _require_possible(learnt: Learnt, size: int, skip_size: int) -> None:
    evidence, skips = learnt.evidence, learnt.skips
    if evidence.moment.shape != (size,) or skips.weights.shape != (skip_size,):
        raise EvidenceDamaged(f"expected sums of {size} features and {skip_size} weights")
    tries = [number for one in learnt.tries.values() for number in (one.tried, one.glad, one.at_ms)]
    numbers = (
        *(evidence.count, evidence.total, evidence.half_life_ms, evidence.landmark_ms or 0.0, skips.intercept),
        *tries,
    )
    arrays = (evidence.moment, evidence.gram, skips.weights)
    if not (all(map(math.isfinite, numbers)) and all(np.isfinite(one).all() for one in arrays)):
        raise EvidenceDamaged("expected finite numbers")
    if evidence.half_life_ms <= 0 or evidence.count < 0 or (np.diagonal(evidence.gram) < 0).any() or skips.seen < 0:
        raise EvidenceDamaged("expected sums of squares, got a negative one")
