"""What was learnt moves candidates; without it the order is the given one."""

from __future__ import annotations

import numpy as np
import pytest

from models.bandit import Evidence, posterior_of
from recall.explain import explain
from recall.index.protocol import NO_FILTER
from recall.merge import Merged
from recall.policy import LEARNED, UNLEARNED, Policy, reorder
from recall.query import RecallQuery
from recall.ranking_features import COLUMN, PRIOR, SIZE, Scene
from recall.session import SKIPPED
from recall.streak import TERM as STREAK
from tests.unit.recall.tracks import track

SCENE = Scene(RecallQuery((), (), (), 0.5, NO_FILTER, False, 0), {}, {}, frozenset(), None)


def found(track_id: str, channel: str, score: float) -> Merged:
    return Merged(track(track_id), {channel: 0}, {channel: score}, {})


def taught(feature: str, earned: float, times: int = 50) -> Policy:
    evidence = Evidence(SIZE, 1e12)
    row = np.zeros(SIZE)
    row[COLUMN[feature]] = 1.0
    for _ in range(times):
        evidence.learn(row, earned, at_ms=0, is_new=True)
    return Policy("learnt", posterior_of(PRIOR, [evidence], now_ms=0))


def test_with_the_prior_alone_the_order_and_the_scores_are_the_given_ones() -> None:
    given = [found("b", "acoustic", 0.4), found("a", "fresh", 0.4), found("c", "fresh", 0.1)]
    assert list(reorder(given, SCENE, UNLEARNED).ranked) == given


def test_what_earned_rises_by_a_term_that_is_told() -> None:
    given = [found("a", "acoustic", 0.5), found("b", "fresh", 0.45)]
    policy = taught("fresh", 1.0)
    ranked = reorder(given, SCENE, policy).ranked
    assert [one.track.track_id for one in ranked] == ["b", "a"]
    # By hand: prior precision 1/0.3^2, fifty rewards of 1 with precision 1/0.7^2 each.
    weight = (50 / 0.49) / (50 / 0.49 + 1 / 0.09)
    assert ranked[0].contributions[LEARNED] == pytest.approx(weight)
    assert ranked[0].score == pytest.approx(0.45 + weight)
    assert LEARNED not in ranked[1].contributions
    assert [one.track.track_id for one in reorder(given, SCENE, taught("fresh", -1.0)).ranked] == ["a", "b"]


def test_the_sum_of_all_terms_is_what_the_model_expects_but_for_what_all_share() -> None:
    given = [found("a", "acoustic", 0.5), found("b", "fresh", 0.45), found("c", "rising", 0.2)]
    policy = taught("bias", 2.0)
    ordered = reorder(given, SCENE, policy)
    expected = policy.posterior.expected(ordered.of(ordered.ranked.tracks))
    scores = np.array([one.score for one in ordered.ranked])
    # Of the scores the mean, 1.15 / 3, is not the model's to know.
    assert expected - scores == pytest.approx(np.full(3, policy.posterior.mean[0] - 1.15 / 3))


@pytest.mark.parametrize("earned", [-1.5, 0.0, 1.5])
def test_what_was_skipped_sinks_whatever_is_learnt(earned: float) -> None:
    """A push of -0.3 counts at least as it is: by what was learnt of skipped tracks it would be taken back."""
    given = [
        Merged(track("liked"), {}, {"x": 0.3}, {}),
        Merged(track("skipped"), {}, {"x": 0.5, SKIPPED: -0.3}, {}),
    ]
    ranked = reorder(given, SCENE, taught(SKIPPED, earned)).ranked
    assert ranked[0].track.track_id == "liked"
    # By hand: prior mean 1 and precision 1/0.5^2, fifty rewards with precision 1/0.7^2 each, of a feature that is 1.
    weight = max(1.0, (50 * earned / 0.49 + 1 / 0.25) / (50 / 0.49 + 1 / 0.25))
    assert ranked[1].score == pytest.approx(0.5 - 0.3 * weight)


def test_what_was_skipped_sinks_as_far_when_scores_have_turned_out_to_say_little() -> None:
    given = [
        Merged(track("liked"), {}, {"x": 0.3}, {}),
        Merged(track("skipped"), {}, {"x": 0.9, SKIPPED: -0.1, STREAK: -0.4}, {}),
    ]
    ranked = reorder(given, SCENE, taught("prior_score", 0.0)).ranked
    assert [one.track.track_id for one in ranked] == ["liked", "skipped"]
    # By hand: prior mean 1 and precision 1/0.5^2, fifty rewards of 0; scores without the pushes are 0.3 apart from 0.6.
    weight = (1 / 0.25) / (50 / 0.49 + 1 / 0.25)
    assert ranked[0].score - ranked[1].score == pytest.approx(0.5 - 0.6 * weight)


def test_a_score_that_is_no_number_stays_last() -> None:
    given = [found("a", "fresh", 0.5), found("b", "fresh", float("nan")), found("c", "fresh", 0.6)]
    assert reorder(given, SCENE, taught("fresh", 1.0)).ranked[-1].track.track_id == "b"


def test_what_outweighs_the_reasons_without_one_of_its_own_does_not_silence_them() -> None:
    one = Merged(
        track("a"), {"x": 0}, {"prior": 1.5, LEARNED: 0.5, "x": 0.1, "y": 0.02}, {"x": "like that", "y": "or so"}
    )
    assert explain(one).text == "Like that"
