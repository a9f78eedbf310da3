"""Many lists become one, by rank: scores of different channels have no common unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recall.channels.protocol import Candidate
from recall.tracks import CataloguedTrack

# Source: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion outperforms Condorcet, SIGIR 2009.
K = 60
# `fresh` outweighs any two others: a release of an artist somebody listens to is shown, or it stays unknown.
WEIGHTS: Mapping[str, float] = {"acoustic": 1.0, "same_artist": 0.8, "fresh": 1.2, "genre_popular": 0.5}


@dataclass(frozen=True)
class Merged:
    """A track with its rank in each channel that found it, and what each adds to its score.

    Attributes:
        ranks: channel -> rank, from 0.
        contributions: term -> what it adds; they sum to the score.
        reasons: term -> what to tell a listener.
    """

    track: CataloguedTrack
    ranks: Mapping[str, int]
    contributions: Mapping[str, float]
    reasons: Mapping[str, str]
    because: tuple[str, ...] = field(default=())

    @property
    def score(self) -> float:
        """The sum of the contributions."""
        return sum(self.contributions.values())


def fuse(found: Mapping[str, Sequence[Candidate]], weights: Mapping[str, float] = WEIGHTS) -> list[Merged]:
    """Weighted reciprocal rank fusion, the best first, ties by track id.

    A track that leads every channel scores 1. The order of the channels does not matter.
    """
    scale = (K / total) if (total := sum(weights.get(name, 1.0) for name in weights)) else 0.0
    ranks: dict[str, dict[str, int]] = {}
    seen: dict[str, dict[str, Candidate]] = {}
    for name in sorted(found):
        for rank, candidate in enumerate(found[name]):
            ranks.setdefault(candidate.track.track_id, {})[name] = rank
            seen.setdefault(candidate.track.track_id, {})[name] = candidate
    merged = [_merged(ranks[track_id], seen[track_id], weights, scale) for track_id in ranks]
    return sorted(merged, key=lambda one: (-one.score, one.track.track_id))


def _merged(ranks: dict[str, int], seen: dict[str, Candidate], weights: Mapping[str, float], scale: float) -> Merged:
    contributions = {name: scale * weights.get(name, 1.0) / (K + rank) for name, rank in ranks.items()}
    strongest = max(contributions, key=lambda name: (contributions[name], name))
    because = dict.fromkeys(start for name in seen for start in seen[name].because)
    return Merged(
        track=seen[strongest].track,
        ranks=ranks,
        contributions=contributions,
        reasons={name: candidate.reason for name, candidate in seen.items()},
        because=tuple(because)[:5],
    )
