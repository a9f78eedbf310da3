"""What the ranking knows of a candidate, in numbers: the one place where their names, units and order stand.

A model learns one weight for each. Before anything is learnt the weights are those of `PRIOR`: the score that a
candidate has from its channels and the session counts as it is, and all else not at all, so that an unlearned ranking
keeps the order that it is given. A change of anything here is a new `VERSION`: what was learnt of another is not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from models.bandit import Array, Prior
from recall.fatigue import FATIGUE, REPEAT
from recall.judged import TERM as PRIOR_TERM
from recall.merge import K, Merged
from recall.query import RecallQuery
from recall.session import FINISHED, IN_MOOD, SKIPPED
from recall.tracks import CataloguedTrack, Vector
from topics.records import ListeningContext

VERSION = "4"
# Channels that have a weight of their own; the others share one.
CHANNELS = (
    "acoustic",
    "same_artist",
    "fresh",
    "genre_popular",
    "similar_artists",
    "fresh_nearby",
    "rising",
    "playlist",
    "neighbours",
    "artist_neighbours",
    "factors",
    "described",
    "session_neighbours",
    "listeners",
    "anchors",
)
# Terms of the score that have a weight of their own beside it.
TERMS = (PRIOR_TERM, FINISHED, SKIPPED, IN_MOOD, FATIGUE, REPEAT)
FRESH_DAYS, HEARD_DAYS = 28.0, 28.0
DAY_MS = 86_400_000
# The hour at which days are most awake, and half a day later the opposite.
AWAKE_HOUR = 15
ACTIVITY = {
    **dict.fromkeys(("running", "workout", "gym", "party", "cycling", "cleaning"), 1.0),
    **dict.fromkeys(("sleeping", "sleep", "studying", "study", "focus", "reading", "relaxing", "meditation"), -1.0),
}
SHARED_DEVICES = frozenset({"speaker", "tv", "car", "game_console"})


@dataclass(frozen=True)
class Feature:
    """One number of a candidate.

    Attributes:
        unit: what it measures, and its range.
        sd: how unsure its weight is before anything is learnt, in reward per unit.
        mean: that weight.
        orders: whether it differs between candidates of one request; the others only explain rewards.
    """

    name: str
    unit: str
    sd: float
    mean: float = 0.0
    orders: bool = True


FEATURES: tuple[Feature, ...] = (
    Feature("bias", "1", 0.5, mean=0.3, orders=False),
    Feature("prior_score", "its score so far less the mean of all candidates' scores, about -1..1", 0.5, mean=1.0),
    *(Feature(name, "60 / (60 + its rank in that channel), 0 where not found; 0..1", 0.3) for name in CHANNELS),
    Feature("other_channel", "the same, the best of all other channels", 0.3),
    Feature("likeness", "greatest cosine to what the list starts from, by sound; 0..1", 0.3),
    Feature(PRIOR_TERM, "what the learned tables say of it, by its rank among the candidates, 0..1.5", 0.3),
    Feature(FINISHED, "pull of what was just finished, 0..0.3", 0.5),
    Feature(SKIPPED, "push of what was just skipped, -1..0", 0.5),
    Feature(IN_MOOD, "how well it fits the mood of what was finished, 0..0.1", 0.5),
    Feature(FATIGUE, "what there was enough of its artist and album, -0.4..0", 0.5),
    Feature(REPEAT, "whether it is wanted once more or bores, -0.3..0.15", 0.5),
    Feature("popularity", "of its catalogue, 0..1, 0 where unknown", 0.2),
    Feature("freshness", "1 on the day of its release, half after 28 days; 0..1", 0.2),
    Feature("genre_share", "share of the starts' weight that has one of its genres, 0..1", 0.3),
    Feature("artist_share", "share of the starts' weight by one of its artists, 0..1", 0.3),
    Feature("followed", "1 when one of its artists is followed", 0.3),
    Feature("heard", "1 just after it was heard, half after 28 days; 0..1", 0.3),
    Feature("energy_by_day", "energy less 0.5, times 1 at 15 h to -1 at 3 h; -0.5..0.5", 0.3),
    Feature("energy_by_activity", "energy less 0.5, times 1 for an active or -1 for a calm activity", 0.3),
    Feature("popular_in_company", "popularity where several may listen (speaker, car, tv), 0..1", 0.2),
    Feature("day", "1 at 15 h to -1 at 3 h, 0 where unknown", 0.2, orders=False),
    Feature("position", "1 / log2(2 + position) in the list, 1 at its head; 0..1", 0.3, orders=False),
)
NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
SIZE = len(FEATURES)
COLUMN: Mapping[str, int] = {name: column for column, name in enumerate(NAMES)}
ORDERING: Array = np.array([float(feature.orders) for feature in FEATURES])
# Rewards are some 0.7 from what can be known of them: a listener who likes a track may still be called away.
PRIOR = Prior(
    np.array([feature.mean for feature in FEATURES]), np.array([feature.sd for feature in FEATURES]), noise_sd=0.7
)


@dataclass(frozen=True)
class Scene:
    """What the features of one request's candidates are made of, besides the candidates.

    Attributes:
        vectors: acoustic vectors, each (64,) float32 of L2 norm 1, by track id; those that are missing are unknown.
        heard: track id -> when it was last heard.
    """

    query: RecallQuery
    vectors: Mapping[str, Vector]
    heard: Mapping[str, int]
    followed: frozenset[str]
    context: ListeningContext | None


def features_of(candidates: Sequence[Merged], scene: Scene) -> Array:
    """(N, SIZE) float64, a row a candidate, with 0 for the position, which nobody knows yet."""
    rows = np.zeros((len(candidates), SIZE))
    if not candidates:
        return rows
    tracks = [one.track for one in candidates]
    popularity = [(track.popularity or 0.0) / 100 for track in tracks]
    rows[:, COLUMN["bias"]] = 1.0
    rows[:, COLUMN["prior_score"]] = _centred(np.array([one.score for one in candidates]))
    terms = set().union(*(one.contributions for one in candidates))
    for name in terms.intersection(TERMS):
        rows[:, COLUMN[name]] = [one.contributions.get(name, 0.0) for one in candidates]
    _fill_channels(rows, candidates)
    rows[:, COLUMN["likeness"]] = _likeness(tracks, scene)
    rows[:, COLUMN["popularity"]] = popularity
    day = scene.query.now_ms // DAY_MS
    rows[:, COLUMN["freshness"]] = [_freshness(track.release_date, day) for track in tracks]
    _fill_past(rows, tracks, scene)
    if scene.context is not None:
        _fill_context(rows, tracks, popularity, scene.context)
    return rows


def at_position(row: Array, position: int) -> tuple[float, ...]:
    """A candidate's features as they are logged: at its position, to four decimals."""
    placed = row.copy()
    placed[COLUMN["position"]] = 1 / math.log2(2 + position)
    return tuple(np.round(placed, 4).tolist())


def _centred(scores: Array) -> Array:
    """The scores less their mean; 0 for those that are no numbers."""
    known = np.isfinite(scores)
    return np.where(known, scores - scores[known].mean(), 0.0) if known.any() else np.zeros(len(scores))


def _fill_channels(rows: Array, candidates: Sequence[Merged]) -> None:
    columns, other = {name: COLUMN[name] for name in CHANNELS}, COLUMN["other_channel"]
    cells: list[int] = []
    ranks: list[int] = []
    for row, one in enumerate(candidates):
        for name, rank in one.ranks.items():
            cells.append(row * SIZE + columns.get(name, other))
            ranks.append(rank)
    np.maximum.at(rows.reshape(-1), np.array(cells, np.intp), K / (K + np.array(ranks, np.float64)))


def _likeness(tracks: Sequence[CataloguedTrack], scene: Scene) -> Array:
    nearest = np.zeros(len(tracks))
    starts = [start.vector for start in scene.query.starts if start.vector is not None]
    known = [row for row, track in enumerate(tracks) if track.track_id in scene.vectors]
    if starts and known:
        placed = np.concatenate([scene.vectors[tracks[row].track_id] for row in known]).reshape(len(known), -1)
        nearest[known] = np.clip((placed @ np.stack(starts).T).max(axis=1), 0, 1)
    return nearest


@lru_cache(50_000)
def _freshness(release_date: str | None, today: int) -> float:
    if release_date is None:
        return 0.0
    days = max(0, today - _epoch_day(release_date))
    return math.exp2(-days / FRESH_DAYS) if days < 20 * FRESH_DAYS else 0.0


def _epoch_day(release_date: str) -> int:
    """Days from 1970 to the first day of a partial date; one that no calendar has counts as its month's last."""
    year, month, day = (int(part) for part in (release_date + "-01-01")[:10].split("-"))
    while day > 28:
        try:
            return datetime(year, month, day, tzinfo=UTC).toordinal() - 719_163
        except ValueError:
            day -= 1
    return datetime(max(1, year), month, day, tzinfo=UTC).toordinal() - 719_163


def _fill_past(rows: Array, tracks: Sequence[CataloguedTrack], scene: Scene) -> None:
    by_genre, by_artist = _shares(scene.query)
    if by_genre:
        rows[:, COLUMN["genre_share"]] = [_greatest(by_genre, track.genres) for track in tracks]
    if by_artist or scene.followed:
        artists = [[artist.artist_id for artist in track.artists] for track in tracks]
        rows[:, COLUMN["artist_share"]] = [_greatest(by_artist, some) for some in artists]
        if scene.followed:
            rows[:, COLUMN["followed"]] = [not scene.followed.isdisjoint(some) for some in artists]
    if scene.heard:
        rows[:, COLUMN["heard"]] = [_heard(scene.heard.get(track.track_id), scene.query.now_ms) for track in tracks]


def _greatest(shares: Mapping[str, float], names: Iterable[str | None]) -> float:
    greatest = 0.0
    for name in names:
        if name is not None and (share := shares.get(name, 0.0)) > greatest:
            greatest = share
    return greatest


def _heard(at_ms: int | None, now_ms: int) -> float:
    return 0.0 if at_ms is None else math.exp2(-min(1000.0, max(0.0, (now_ms - at_ms) / DAY_MS / HEARD_DAYS)))


def _shares(query: RecallQuery) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Of the starts' weight, the share with each genre and by each artist."""
    total = sum(start.weight for start in query.starts) or 1.0
    by_genre: dict[str, float] = {}
    by_artist: dict[str, float] = {}
    for start in query.starts:
        share = start.weight / total
        for genre in start.track.genres:
            by_genre[genre] = by_genre.get(genre, 0.0) + share
        for artist in start.track.artist_ids:
            by_artist[artist] = by_artist.get(artist, 0.0) + share
    return by_genre, by_artist


def _fill_context(
    rows: Array, tracks: Sequence[CataloguedTrack], popularity: Sequence[float], context: ListeningContext
) -> None:
    energy = np.array([_energy(track) for track in tracks]) - 0.5
    if context.local_hour is not None:
        day = math.cos(2 * math.pi * (context.local_hour - AWAKE_HOUR) / 24)
        rows[:, COLUMN["day"]] = day
        rows[:, COLUMN["energy_by_day"]] = energy * day
    rows[:, COLUMN["energy_by_activity"]] = energy * ACTIVITY.get((context.activity or "").lower(), 0.0)
    if (context.device or "").lower() in SHARED_DEVICES:
        rows[:, COLUMN["popular_in_company"]] = popularity


def _energy(track: CataloguedTrack) -> float:
    energy = track.features.energy if track.features else None
    return 0.5 if energy is None else energy
