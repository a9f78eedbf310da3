"""What was learnt goes into a value and comes back whole, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from models.arms import Tries
from models.bandit import Evidence
from models.errors import EvidenceDamaged
from models.learnt import Learnt, decode_learnt, encode_learnt
from models.skip_weights import SkipWeights

DAY = 86_400_000.0


def learnt(count: int, size: int) -> Learnt:
    evidence, rng = Evidence(size, 10 * DAY), np.random.default_rng(1)
    for at_ms in np.linspace(0, DAY, count):
        evidence.learn(rng.normal(size=size), float(rng.uniform(-1, 1)), at_ms=float(at_ms), is_new=True)
    return Learnt(evidence, SkipWeights(np.array([0.5, -0.25]), 0.125, 9), {"radio/new/x": Tries(3.0, 1.5, DAY)})


def test_all_of_it_comes_back_with_its_offset() -> None:
    given = learnt(30, 4)
    back, through = decode_learnt(encode_learnt(given, 2**40, "3"), "3", 4, 2)
    assert through == 2**40
    assert back.evidence.gram == pytest.approx(given.evidence.gram)
    assert back.evidence.moment == pytest.approx(given.evidence.moment, abs=0)
    assert vars(back.evidence).keys() == vars(given.evidence).keys()
    for name in ("count", "total", "landmark_ms", "half_life_ms"):
        assert getattr(back.evidence, name) == getattr(given.evidence, name)
    assert back.tries == {"radio/new/x": Tries(3.0, 1.5, DAY)}
    assert (back.skips.weights.tolist(), back.skips.intercept, back.skips.seen) == ([0.5, -0.25], 0.125, 9)


def test_no_flipped_bit_and_no_cut_gets_through() -> None:
    value = encode_learnt(learnt(9, 3), 7, "3")
    rng = np.random.default_rng(0)
    for bit in rng.integers(0, 8 * len(value), 300):
        damaged = bytearray(value)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(EvidenceDamaged):
            decode_learnt(bytes(damaged), "3", 3, 2)
    for length in (0, 5, 11, 12, 40, len(value) - 1):
        with pytest.raises(EvidenceDamaged):
            decode_learnt(value[:length], "3", 3, 2)
    for features, size, skip_size in (("4", 3, 2), ("3", 4, 2), ("3", 3, 3)):
        with pytest.raises(EvidenceDamaged):
            decode_learnt(value, features, size, skip_size)


def spoil(name: str, given: Learnt) -> None:
    if name == "negative":
        given.evidence.gram[0, 0] = -1.0
    elif name == "no number":
        given.evidence.gram[0, 0] = np.nan
    elif name == "tries":
        given.tries["radio/new/x"].glad = float("inf")
    else:
        given.skips = SkipWeights(np.array([np.nan, 0.0]))


@pytest.mark.parametrize("name", ["negative", "no number", "tries", "weights"])
def test_what_no_impressions_add_up_to_is_refused(name: str) -> None:
    given = learnt(9, 3)
    spoil(name, given)
    with pytest.raises(EvidenceDamaged):
        decode_learnt(encode_learnt(given, 1, "3"), "3", 3, 2)


def test_another_half_life_keeps_what_counts_now() -> None:
    given = learnt(9, 3)
    before = given.tries["radio/new/x"].at(5 * DAY, 10 * DAY)
    given.forget_by(2 * DAY, 5 * DAY)
    assert given.tries["radio/new/x"].at(5 * DAY, 2 * DAY) == pytest.approx(before)
    assert given.tries["radio/new/x"].at(7 * DAY, 2 * DAY) == pytest.approx([one / 2 for one in before])
    assert given.evidence.half_life_ms == 2 * DAY
