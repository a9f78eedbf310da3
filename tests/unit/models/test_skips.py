from __future__ import annotations

import random

import numpy as np
import pytest
from river import linear_model, optim

from models.skip_weights import SEEN_MAX, SHY, SkipWeights, averaged
from models.skips import Hearing, OnlineSkips, Rates, SkipPredictor, average_accuracy, features_of


def heard(pattern: str, track_id: str = "t") -> list[Hearing]:
    """`s` skipped, `o` skipped at once, `f` finished, `-` neither."""
    return [Hearing(track_id, one in "so", one == "o", one == "f") for one in pattern]


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        # Worked by hand, and two that a participant of the challenge published.
        ([1, 1, 1, 0, 1], (1 + 1 + 1 + 0 + 4 / 5) / 5),
        ([0, 1, 1, 1, 1], (0 + 1 / 2 + 2 / 3 + 3 / 4 + 4 / 5) / 5),
        ([1], 1.0),
        ([0, 0], 0.0),
        ([1, 0], 0.5),
        ([0, 1], 0.25),
    ],
)
def test_average_accuracy_is_that_of_the_challenge(right: list[int], expected: float) -> None:
    done = [False] * len(right)
    predicted = [not one for one in right]
    assert average_accuracy(predicted, done) == pytest.approx(expected)
    assert average_accuracy([not one for one in predicted], [True] * len(right)) == pytest.approx(expected)


def test_features_say_what_was_done() -> None:
    found = features_of(heard("f-oss"), 2, 0.3)
    # The weights of the five, the latest last: 0.4096, 0.512, 0.64, 0.8 and 1.
    assert found == pytest.approx(
        {
            "last": 1.0,
            "last_fading": 0.5,
            "last_at_once": 0.0,
            "last_finished": 0.0,
            "run": 3.0,
            "share": 0.6,
            "share_of_late": 2.44 / 3.3616,
            "at_once": 0.2,
            "ahead": 2.0,
            "track": 0.3,
        }
    )
    assert features_of(heard("sf"), 1, 0.5)["last"] == -1.0
    assert features_of([], 1, 0.5)["share"] == features_of([], 1, 0.5)["share_of_late"] == 0.5


def test_young_rates_are_near_that_of_all_and_the_oldest_are_forgotten() -> None:
    rates = Rates(most=2)
    assert rates.of("a") == 0.5
    for one in "sss-":
        rates.count(heard(one, "a")[0])
    # 4 of 6 of all, with the two that stand for nothing; own: 3 of 4, beside five of those.
    assert rates.of("a") == pytest.approx((3 + 5 * 4 / 6) / 9)
    assert rates.of("unknown") == pytest.approx(4 / 6)
    for name in "bc":
        rates.count(heard("s", name)[0])
    assert rates.of("a") == pytest.approx(6 / 8)


def test_what_repeats_is_learned_and_so_is_what_alternates() -> None:
    rng = random.Random(3)
    for repeats in (True, False):
        predictor = SkipPredictor()
        for _ in range(400):
            first = rng.random() < 0.5
            last, then = (Hearing("t", one, False, not one) for one in (first, first if repeats else not first))
            predictor.learn([last], 1, then)
        after_skip = predictor.probability(heard("s"), 1, "t")
        after_play = predictor.probability(heard("f"), 1, "t")
        assert (after_skip > 0.8 and after_play < 0.2) if repeats else (after_skip < 0.2 and after_play > 0.8)


def test_a_track_that_others_skip_is_more_likely_skipped() -> None:
    predictor, rng = SkipPredictor(), random.Random(4)
    for _ in range(600):
        name = rng.choice(["good", "bad"])
        predictor.learn(
            heard(rng.choice("sf")), 1, Hearing(name, (rng.random() < 0.9) == (name == "bad"), False, False)
        )
    assert predictor.probability(heard("s"), 1, "bad") > predictor.probability(heard("s"), 1, "good") + 0.3


def test_before_anything_was_learned_nothing_is_known() -> None:
    assert SkipPredictor().probability([], 1, "t") == 0.5


def examples(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Skips by log-odds 2 a - 3 b + 0.5."""
    rng = np.random.default_rng(seed)
    rows = rng.uniform(-1, 1, (count, 2))
    chances = 1 / (1 + np.exp(-(rows @ np.array([2.0, -3.0]) + 0.5)))
    return rows, rng.random(count) < chances


def test_learning_that_goes_on_is_as_if_it_had_never_stopped() -> None:
    """Also that river's weights can be begun with, which has no public way."""
    rows, skipped = examples(300)
    oracle = linear_model.LogisticRegression(optim.SGD(0.03), l2=1e-4, intercept_lr=0.03)
    known = SkipWeights.of_nothing(2)
    for start in range(0, 300, 50):
        online = OnlineSkips(known)
        for row, one in zip(rows[start : start + 50], skipped[start : start + 50], strict=True):
            online.learn(row, bool(one))
            oracle.learn_one(dict(enumerate(row.tolist())), bool(one))
        known = online.weights(2)
    assert known.weights == pytest.approx([oracle.weights[0], oracle.weights[1]])
    assert known.intercept == pytest.approx(oracle.intercept)
    assert known.seen == 300
    # What river predicts one by one is what the weights say of all rows at once.
    told = [oracle.predict_proba_one(dict(enumerate(row.tolist())))[True] for row in rows[:20]]
    assert known.chances(rows[:20]) == pytest.approx(told)


def test_what_makes_skips_likely_is_found() -> None:
    rows, skipped = examples(6_000)
    online = OnlineSkips(SkipWeights.of_nothing(2))
    for row, one in zip(rows, skipped, strict=True):
        online.learn(row, bool(one))
    found = online.weights(2)
    assert found.weights == pytest.approx([2.0, -3.0], abs=0.6)
    assert found.seen == SEEN_MAX


def test_learners_are_averaged_by_what_they_have_seen_and_a_few_examples_say_little() -> None:
    some = [SkipWeights(np.array([1.0, 0.0]), 2.0, 300), SkipWeights(np.array([0.0, 4.0]), 0.0, 100)]
    found = averaged(some, 2)
    whole = 400 + SHY
    assert found.weights == pytest.approx([300 / whole, 400 / whole])
    assert (found.intercept, found.seen) == (pytest.approx(600 / whole), 400)
    nothing = averaged([], 2)
    assert nothing.chances(np.ones((3, 2))).tolist() == [0.5, 0.5, 0.5]
