"""The order that was learnt: a term in each candidate's score, from weights that all listeners share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.bandit import Array, Posterior, posterior_of
from models.skip_weights import SkipWeights
from recall.blends import Blends, ListenerKind
from recall.merge import Merged
from recall.ranking_features import COLUMN, PRIOR, SKIP_SIZE, Scene, features_of, ordering, skip_rows
from recall.scored import Scored
from recall.skip_chance import CHANCE, chances_of
from recall.tracks import CataloguedTrack
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

    ranked: Scored
    features: Array
    rows: Mapping[str, int]

    def of(self, tracks: Iterable[CataloguedTrack]) -> Array:
        """Their features, a row each."""
        return self.features[[self.rows[track.track_id] for track in tracks]]


def reorder(candidates: Sequence[Merged], scene: Scene, policy: Policy) -> Ordered:
    """The candidates with what was learnt added to their scores.

    The term is what the features say now less what they said before anything was learnt, which the score holds already;
    so with the prior alone the order stays as it was.
    """
    scored = Scored.of(candidates)
    features = features_of(scored, scene)
    if policy.skips.seen and candidates:
        features[:, COLUMN[CHANCE]] = chances_of(policy.skips, skip_rows(features))
    rows = {track.track_id: row for row, track in enumerate(scored.tracks)}
    change = ordering(policy.posterior.mean) - ordering(PRIOR.mean)
    if np.abs(change).max() < NOTHING:
        return Ordered(scored, features, rows)
    return Ordered(scored.plus({LEARNED: features @ change}).best_first(), features, rows)
