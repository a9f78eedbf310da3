"""A list that is not all alike: what is chosen of the ranked candidates."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from recall.fatigue import FATIGUE, REPEAT
from recall.merge import Merged
from recall.query import DEFAULT_BREADTH
from recall.scored import Scored
from recall.session import SKIPPED
from recall.spacing import artists_of
from recall.streak import TERM as STREAK
from recall.surfaces import Surface
from recall.tracks import CataloguedTrack, Vector, matrix

# Of one artist at most so many, or so much of a long list.
PER_ARTIST, SHARE_OF_ARTIST = 3, 0.1
# What the artist that a list starts from has of it.
SEED_ARTIST_LEAST, SEED_ARTIST_MOST = 0.15, 0.2
# More artists than these are a taste, not a wish for their own tracks.
SEED_ARTISTS_MAX = 3
# From here on, of 100, everybody knows a track.
POPULAR = 70.0
VARIETY = "variety"
# What takes from a score because of the session.
PUSHES = (SKIPPED, STREAK, FATIGUE, REPEAT)
# Releases of the artists that somebody listens to have at least so much of a list: what learns from lists has nothing
# to say for a track that is in none.
SHARE_OF_NEWS = 0.1
# How far apart scores are taken to be, at least, of the distance between the best and the worst.
LEAST_SPAN = 0.25
# Below the value of any candidate that is not barred; values are within -3.4..1.
GIVES_WAY = -10.0


@dataclass(frozen=True)
class Share:
    """How many of some tracks a list should hold, where it can."""

    counts: Callable[[CataloguedTrack], bool]
    least: int
    most: int


@dataclass(frozen=True)
class Balance:
    """What a list of `limit` tracks should hold.

    Attributes:
        relevance: how much the score counts against likeness to what was chosen, 0..1.
        per_artist: of one artist at most so many.
        exceptions: artist id -> another number.
        strict: the list is rather short than beyond `per_artist`; else all bounds give way before it is.
    """

    limit: int
    relevance: float
    per_artist: int
    exceptions: Mapping[str, int]
    strict: bool
    shares: Sequence[Share]


def balance_of(
    limit: int,
    surface: Surface,
    seeds: Iterable[CataloguedTrack],
    max_per_artist: int | None,
    breadth: float = DEFAULT_BREADTH,
) -> Balance:
    """What is wanted of a list.

    Args:
        limit: how many tracks it has.
        surface: where it is shown.
        seeds: the tracks that its request names.
        max_per_artist: as asked for; who says that has said it of the seeds' artist, too.
        breadth: below the usual one likeness counts less, at 0 not at all: one tight pocket is wanted.
    """
    shares: list[Share] = []
    exceptions: dict[str, int] = {}
    artists = frozenset(artist for track in seeds for artist in track.artist_ids)
    if 0 < len(artists) <= SEED_ARTISTS_MAX and max_per_artist is None:
        most = max(1, round(SEED_ARTIST_MOST * limit))
        shares.append(Share(_by_any(artists), min(most, round(SEED_ARTIST_LEAST * limit)), most))
        exceptions = dict.fromkeys(artists, max(_cap(limit), math.ceil(most / len(artists))))
    if surface.popular_share is not None:
        popular = round(surface.popular_share * limit)
        shares.append(Share(is_popular, popular, max(1, popular)))
    return Balance(
        limit=limit,
        relevance=1 - (1 - surface.relevance) * min(1.0, breadth / DEFAULT_BREADTH),
        per_artist=max_per_artist or _cap(limit),
        exceptions=exceptions,
        strict=max_per_artist is not None,
        shares=shares,
    )


def with_news(balance: Balance, releases: Sequence[str]) -> Balance:
    """The same, and the first of these releases, by track id, in any case."""
    most = max(1, round(SHARE_OF_NEWS * balance.limit))
    shown = frozenset(releases[:most])
    news = Share(lambda track: track.track_id in shown, len(shown), balance.limit)
    return dataclasses.replace(balance, shares=(*balance.shares, news)) if shown else balance


def is_popular(track: CataloguedTrack) -> bool:
    """Whether everybody knows it."""
    return (track.popularity or 0.0) >= POPULAR


def _cap(limit: int) -> int:
    return max(PER_ARTIST, round(SHARE_OF_ARTIST * limit))


def _by_any(artists: AbstractSet[str]) -> Callable[[CataloguedTrack], bool]:
    return lambda track: not artists.isdisjoint(track.artist_ids)


def choose(ranked: Sequence[Merged], vectors: Mapping[str, Vector], balance: Balance) -> list[Merged]:
    """The list, one track after the other, each the best by maximal marginal relevance that the balance leaves.

    The value of a track is `relevance * score - (1 - relevance) * likeness`, with scores in terms of `span_of` all
    below the greatest, which is 1, and likeness the greatest cosine to a track chosen before, 0 at least. A track
    without a vector is as like as others are on average. What likeness costs a track is `variety` among its
    contributions.

    Source: Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking, SIGIR 1998.

    Args:
        ranked: candidates, the best first; of equal value the earlier is taken.
        vectors: acoustic vectors, each (64,) float32 of L2 norm 1, by track id.
        balance: bounds.
    """
    if not ranked:
        return []
    ranked = Scored.of(ranked)
    scores = ranked.scores
    span = span_of(ranked)
    worth = balance.relevance * (1 - (scores.max() - scores) / (span or 1.0))
    likeness = _Likeness(ranked.tracks, vectors)
    bounds = _Bounds(ranked.tracks, balance)
    cost = span * (1 - balance.relevance) / balance.relevance if balance.relevance else 0.0
    taken: list[Merged] = []
    while len(taken) < balance.limit:
        value = worth - (1 - balance.relevance) * likeness.nearest + bounds.barred
        if (due := bounds.due()) is not None:
            value[~due] = -np.inf
        place = int(value.argmax())
        if value[place] == -np.inf:
            break
        taken.append(_varied(ranked[place], -cost * float(likeness.nearest[place])))
        bounds.take(place)
        likeness.take(place)
    return taken


def span_of(ranked: Scored) -> float:
    """How far apart scores are but for what the session pushed down: more than 0, unless they are all the same.

    With what was pushed, all others would be nearly equal, and pushed ones be taken for variety: that they are unlike
    what is chosen would outweigh their scores. It is at least a quarter of the whole distance.
    """
    scores = ranked.scores
    best, whole = float(scores.max()), float(scores.max() - scores.min())
    before = scores - np.minimum(sum(map(ranked.term, PUSHES)), 0.0)
    return min(whole, max(LEAST_SPAN * whole, best - float(before.min())))


def _varied(one: Merged, term: float) -> Merged:
    return replace(one, contributions={**one.contributions, VARIETY: term}) if term else one


class _Likeness:
    """How like each candidate is to what was chosen.

    Attributes:
        nearest: (N,) float64 in 0..1.
    """

    def __init__(self, tracks: Sequence[CataloguedTrack], vectors: Mapping[str, Vector]) -> None:
        found = [vectors.get(track.track_id) for track in tracks]
        self._known = np.array([vector is not None for vector in found])
        self._vectors = matrix([vector for vector in found if vector is not None]) if self._known.any() else None
        self._rows = np.cumsum(self._known) - 1
        self._all_known = bool(self._known.all())
        self.nearest: NDArray[np.float64] = np.zeros(len(tracks))

    def take(self, place: int) -> None:
        if self._vectors is None or not self._known[place]:
            return
        cosines = self._vectors @ self._vectors[self._rows[place]]
        if self._all_known:
            np.maximum(self.nearest, cosines, out=self.nearest)
            return
        self.nearest[self._known] = np.maximum(self.nearest[self._known], cosines)
        self.nearest[~self._known] = self.nearest[self._known].mean()


class _Bounds:
    """Which candidates may still be taken.

    Attributes:
        barred: (N,) 0, `GIVES_WAY` for what may be taken only where the list would stay short, -inf for all else.
    """

    def __init__(self, tracks: Sequence[CataloguedTrack], balance: Balance) -> None:
        self._artists = [artists_of(track) for track in tracks]
        self._balance = balance
        self._taken: Counter[str] = Counter()
        self._left = balance.limit
        self._rows: dict[str, list[int]] = {}
        for row, artists in enumerate(self._artists):
            for artist in artists:
                self._rows.setdefault(artist, []).append(row)
        self.barred = np.zeros(len(tracks))
        self._groups = [np.array([share.counts(track) for track in tracks], bool) for share in balance.shares]
        self._counts = [0] * len(self._groups)

    def due(self) -> NDArray[np.bool_] | None:
        """(N,) the only ones to take from now on, so that each share gets its least; `None` when none is due."""
        needed, due = 0, None
        for group, share, count in zip(self._groups, self._balance.shares, self._counts, strict=True):
            if share.least > count and np.isfinite(self.barred[group]).any():
                needed += share.least - count
                due = group if due is None else due | group
        return due if needed >= self._left else None

    def take(self, place: int) -> None:
        self._left -= 1
        self.barred[place] = -np.inf
        for artist in self._artists[place]:
            self._taken[artist] += 1
            if self._taken[artist] == self._balance.exceptions.get(artist, self._balance.per_artist):
                self._bar(self._rows[artist], -np.inf if self._balance.strict else GIVES_WAY)
        for number, (group, share) in enumerate(zip(self._groups, self._balance.shares, strict=True)):
            self._counts[number] += bool(group[place])
            if group[place] and self._counts[number] == share.most:
                self._bar(np.flatnonzero(group), GIVES_WAY)

    def _bar(self, rows: Sequence[int] | NDArray[np.int64], by: float) -> None:
        self.barred[rows] = np.minimum(self.barred[rows], by)
