"""The order that was learnt: a term in each candidate's score, from weights that all listeners share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.bandit import Array, Posterior, posterior_of
from models.skip_weights import SkipWeights
from recall.blends import Blends, ListenerKind
from recall.merge import Merged
from recall.ranking_features import COLUMN, PRIOR, SKIP_SIZE, Scene, features_of, ordering, scores_of, skip_rows
from recall.skip_chance import CHANCE, chances_of
from topics.records import RecommendationRequest, SurfaceName

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
        skips: what the chance of a skip is told by.
        blends: chooses how much each channel counts; `None` = always as usual.
    """

    version: str
    posterior: Posterior
    explores: float = 1.0
    by_chance: bool = False
    skips: SkipWeights = field(default_factory=lambda: SkipWeights.of_nothing(SKIP_SIZE))
    blends: Blends | None = None

    def blend(self, surface: SurfaceName, listener: ListenerKind, request: RecommendationRequest) -> str | None:
        """How much each channel counts for a request: drawn, unless nothing is to be explored; `None` = as usual."""
        if self.blends is None:
            return None
        curious = self.explores > 0 and request.exploration != 0
        return self.blends.chosen(surface, listener, request.request_id, curious=curious)


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
    scores = scores_of(candidates)
    features = features_of(candidates, scene, scores)
    if policy.skips.seen and candidates:
        features[:, COLUMN[CHANCE]] = chances_of(policy.skips, skip_rows(features))
    ids = [one.track.track_id for one in candidates]
    rows = {track_id: row for row, track_id in enumerate(ids)}
    change = ordering(policy.posterior.mean) - ordering(PRIOR.mean)
    if np.abs(change).max() < NOTHING:
        return Ordered(list(candidates), features, rows)
    terms = features @ change
    scores = scores + terms
    told = terms.tolist()
    return Ordered([_moved(candidates[row], told[row]) for row in _best_first(scores, ids)], features, rows)


def _best_first(scores: Array, track_ids: Sequence[str]) -> list[int]:
    """Rows by score, those that are no numbers last, ties by track id."""
    worst_last = np.where(np.isfinite(scores), -scores, np.inf)
    order: NDArray[np.intp] = np.argsort(worst_last)
    # Names are long to sort by, and hardly ever needed.
    if not (np.diff(worst_last[order]) > 0).all():
        order = np.lexsort((np.array(track_ids), worst_last))
    found: list[int] = order.tolist()
    return found


def _moved(one: Merged, term: float) -> Merged:
    if not term:
        return one
    contributions = dict(one.contributions)
    contributions[LEARNED] = term
    return Merged(one.track, one.ranks, contributions, one.reasons, one.because)
