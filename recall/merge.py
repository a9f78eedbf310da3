"""Many lists become one, by rank: scores of different channels have no common unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from recall.channels.protocol import Candidate
from recall.tracks import CataloguedTrack

# Source: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion outperforms Condorcet, SIGIR 2009.
K = 60
# `fresh` outweighs several others together: a release of an artist somebody listens to is shown, or it stays unknown.
WEIGHTS: Mapping[str, float] = {
    "acoustic": 1.0,
    "playlist": 1.0,
    "same_artist": 0.8,
    "fresh": 5.0,
    "genre_popular": 0.5,
    "artist_neighbours": 1.0,
    "neighbours": 0.7,
    "factors": 0.5,
    "session_neighbours": 0.7,
    "similar_artists": 0.6,
    "fresh_nearby": 0.4,
    "rising": 0.4,
    "listeners": 0.5,
    "anchors": 0.4,
    "leaning": 1.0,
}


class Merged(Struct, frozen=True, gc=False):
    """A track with its rank in each channel that found it, and what each adds to its score.

    Attributes:
        ranks: channel -> rank, from 0.
        contributions: term -> what it adds; they sum to the score.
        reasons: term -> what to tell a listener.
        explored: whether it was drawn, rather than ranked.
        propensity: the exact probability with which it was, at its position.
    """

    track: CataloguedTrack
    ranks: Mapping[str, int]
    contributions: Mapping[str, float]
    reasons: Mapping[str, str]
    because: tuple[str, ...] = ()
    explored: bool = False
    propensity: float | None = None

    @property
    def score(self) -> float:
        """The sum of the contributions."""
        return sum(self.contributions.values())


def fuse(found: Mapping[str, Sequence[Candidate]], weights: Mapping[str, float] = WEIGHTS) -> Iterator[Merged]:
    """Weighted reciprocal rank fusion, the best first, ties by track id; made as they are asked for.

    A track that leads every channel scores 1. The order of the channels does not matter.
    """
    scale = (K / total) if (total := sum(weights.values())) else 0.0
    places: dict[str, list[_Place]] = {}
    scores: dict[str, float] = {}
    for name in sorted(found):
        weight = scale * weights.get(name, 1.0)
        for rank, candidate in enumerate(found[name]):
            track_id, term = candidate.track.track_id, weight / (K + rank)
            if track_id in scores:
                scores[track_id] += term
                places[track_id].append((term, name, rank, candidate))
            else:
                scores[track_id] = term
                places[track_id] = [(term, name, rank, candidate)]
    for _, track_id in sorted((-score, track_id) for track_id, score in scores.items()):
        yield _merged(places[track_id])


# What a channel adds to the score, the channel, its rank, and what it said.
_Place = tuple[float, str, int, Candidate]


def _merged(places: list[_Place]) -> Merged:
    _, _, _, said = max(places) if len(places) > 1 else places[0]  # no channel twice, so candidates are not compared
    because = said.because
    if len(places) > 1:
        because = tuple(dict.fromkeys(start for _, _, _, one in places for start in one.because))
    return Merged(
        track=said.track,
        ranks={name: rank for _, name, rank, _ in places},
        contributions={name: term for term, name, _, _ in places},
        reasons={name: one.reason for _, name, _, one in places},
        because=because[:5],
    )
