from __future__ import annotations

import random

import pytest

from models.skips import Hearing, Rates, SkipPredictor, average_accuracy, features_of


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
