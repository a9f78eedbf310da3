"""The order that was learnt: a term in each candidate's score, from weights that all listeners share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.bandit import Array, Posterior, posterior_of
from recall.merge import Merged
from recall.ranking_features import ORDERING, PRIOR, Scene, features_of

LEARNED = "learned"
# Differences below are rounding.
NOTHING = 1e-9


@dataclass(frozen=True)
class Policy:
    """Which weights order a list.

    Attributes:
        version: its name, as it is logged and told in answers.
        posterior: what is believed of the weights.
        explores: times a surface's rate of exploration; 0 = only where a request asks for it.
        by_chance: whether each track that could be explored is as likely, rather than by what is believed of it.
    """

    version: str
    posterior: Posterior
    explores: float = 1.0
    by_chance: bool = False


UNLEARNED = Policy("prior", posterior_of(PRIOR, (), now_ms=0), explores=0.0)


@dataclass(frozen=True)
class Ordered:
    """Candidates in the order of a policy.

    Attributes:
        ranked: the best first, ties by track id.
        features: (N, d), a row a candidate.
        rows: track id -> row.
    """

    ranked: list[Merged]
    features: Array
    rows: Mapping[str, int]

    def of(self, candidates: Sequence[Merged]) -> Array:
        """Their features, a row each."""
        return self.features[[self.rows[one.track.track_id] for one in candidates]]


def reorder(candidates: Sequence[Merged], scene: Scene, policy: Policy) -> Ordered:
    """The candidates with what was learnt added to their scores.

    The term is what the features say now less what they said before anything was learnt, which the score holds already;
    so with the prior alone the order stays as it was.
    """
    features = features_of(candidates, scene)
    rows = {one.track.track_id: row for row, one in enumerate(candidates)}
    change = ORDERING * (policy.posterior.mean - PRIOR.mean)
    if np.abs(change).max() < NOTHING:
        return Ordered(list(candidates), features, rows)
    terms = (features @ change).tolist()
    keyed = []
    for one, term in zip(candidates, terms, strict=True):
        contributions = {**one.contributions, LEARNED: term} if term else one.contributions
        score = sum(contributions.values())
        moved = Merged(one.track, one.ranks, contributions, one.reasons, one.because)
        keyed.append((not math.isfinite(score), -score, one.track.track_id, moved))
    # No track comes twice, so candidates are not compared.
    return Ordered([moved for *_, moved in sorted(keyed)], features, rows)
