"""How likely the next tracks of a session are to be skipped: a logistic regression that learns with every track.

What was done last says most of what is done next, so that and its like are the features: skips of a session come in
runs. The verdict of others on a track is a running rate, drawn towards that of all tracks while it is young.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.bandit import Array
from models.skip_weights import SEEN_MAX, SkipWeights

# What of the weight of a track is left one track later.
FADE = 0.8
# A track's own rate of skips counts as much as that of all tracks once it has been met so often.
YOUNG = 5.0
# Tracks whose rate is remembered; those met longest ago are forgotten first.
RATES_MAX = 200_000
# How far one example moves weights that are learnt for the ranking.
RATE = 0.03

Features = dict[str, float]


class Hearing(NamedTuple):
    """What was done with one track.

    Attributes:
        skipped: moved on from, after a short while.
        at_once: moved on from after a very short while.
        finished: heard to its end.
    """

    track_id: str
    skipped: bool
    at_once: bool
    finished: bool


class SkipPredictor:
    """Predicts skips from what was done in the session so far, and learns from what is done then."""

    def __init__(self) -> None:
        from river import linear_model, optim, preprocessing  # takes seconds to load

        self._model = preprocessing.StandardScaler() | linear_model.LogisticRegression(
            optimizer=optim.SGD(0.02), l2=1e-4
        )
        self._rates = Rates()

    def probability(self, so_far: Sequence[Hearing], ahead: int, track_id: str) -> float:
        """How likely the track that comes `ahead` (1 = next) is to be skipped, 0..1.

        Args:
            so_far: what was done in the session, in order; may be empty.
            ahead: how many tracks after the last of those.
            track_id: what comes then.
        """
        features = features_of(so_far, ahead, self._rates.of(track_id))
        return float(self._model.predict_proba_one(features).get(True, 0.5))

    def learn(self, so_far: Sequence[Hearing], ahead: int, then: Hearing) -> None:
        """That is what was done with the track that came `ahead`."""
        features = features_of(so_far, ahead, self._rates.of(then.track_id))
        self._model.learn_one(features, then.skipped)
        self._rates.count(then)


class OnlineSkips:
    """Goes on learning where somebody left off, from features in columns."""

    def __init__(self, known: SkipWeights) -> None:
        from river import linear_model, optim, utils  # takes seconds to load

        self._seen = known.seen
        self._model = linear_model.LogisticRegression(
            optimizer=optim.SGD(RATE), l2=1e-4, intercept_init=known.intercept, intercept_lr=RATE
        )
        # river has no other way to begin with weights than to unpickle a model, and bytes of a store are not run.
        self._model._weights = utils.VectorDict(dict(enumerate(known.weights.tolist())))

    def learn(self, row: Array, skipped: bool) -> None:
        """A track of these features (F,) was skipped, or it was not."""
        self._model.learn_one(dict(enumerate(row.tolist())), skipped)
        self._seen = min(SEEN_MAX, self._seen + 1)

    def weights(self, size: int) -> SkipWeights:
        """What is known by now, of `size` features."""
        found = self._model.weights
        weights = np.array([found.get(column, 0.0) for column in range(size)])
        return SkipWeights(weights, float(self._model.intercept), self._seen)


class Rates:
    """How often each track is skipped."""

    def __init__(self, most: int = RATES_MAX) -> None:
        self._most = most
        self._all = [0.0, 0.0]
        self._of: dict[str, list[float]] = {}

    def of(self, track_id: str) -> float:
        """The track's share of skips, drawn towards that of all; 0.5 of nothing at all."""
        skips, met = self._of.get(track_id, (0.0, 0.0))
        rate = (self._all[0] + 1) / (self._all[1] + 2)
        return (skips + YOUNG * rate) / (met + YOUNG)

    def count(self, hearing: Hearing) -> None:
        """The track was met once more."""
        own = self._of.pop(hearing.track_id, None) or [0.0, 0.0]
        for counts in (own, self._all):
            counts[0] += hearing.skipped
            counts[1] += 1
        self._of[hearing.track_id] = own
        if len(self._of) > self._most:
            del self._of[next(iter(self._of))]


def features_of(so_far: Sequence[Hearing], ahead: int, rate: float) -> Features:
    """What a session says of a track that comes `ahead`, of which others skip a share of `rate`."""
    last = so_far[-1] if so_far else None
    run = 0
    while run < len(so_far) and so_far[-1 - run].skipped == so_far[-1].skipped:
        run += 1
    weights = [FADE**age for age in range(len(so_far))][::-1]
    total = sum(weights) or 1.0
    skipped = sum(weight for one, weight in zip(so_far, weights, strict=True) if one.skipped) / total
    last_skipped = 0.0 if last is None else 2.0 * last.skipped - 1
    return {
        "last": last_skipped,
        "last_fading": last_skipped / ahead,
        "last_at_once": float(last is not None and last.at_once),
        "last_finished": float(last is not None and last.finished),
        "run": last_skipped * min(run, 5),
        "share": sum(one.skipped for one in so_far) / max(1, len(so_far)) if so_far else 0.5,
        "share_of_late": skipped if so_far else 0.5,
        "at_once": sum(one.at_once for one in so_far) / max(1, len(so_far)),
        "ahead": float(ahead),
        "track": rate,
    }


def average_accuracy(predicted: Sequence[bool], done: Sequence[bool]) -> float:
    """The mean over the tracks of: how many of those up to it were right, as a share, or nothing if it was wrong.

    Source: the Spotify Sequential Skip Prediction Challenge (WSDM Cup 2019), the sum of A(i) L(i) over i, divided by T.

    >>> average_accuracy([True, True, False], [True, False, False])
    0.5555555555555556
    """
    right, found = 0, 0.0
    for place, (one, other) in enumerate(zip(predicted, done, strict=True), 1):
        if one == other:
            right += 1
            found += right / place
    return found / len(done)
