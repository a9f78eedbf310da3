"""What the ranking knows of a candidate, in numbers: the one place where their names, units and order stand.

A model learns one weight for each. Before anything is learnt the weights are those of `PRIOR`: the score that a
candidate has from its channels and the session counts as it is, and all else not at all, so that an unlearned ranking
keeps the order that it is given. A change of anything here is a new `VERSION`: what was learnt of another is not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from models.bandit import Array, Prior
from recall.fatigue import FATIGUE, REPEAT
from recall.judged import TERM as PRIOR_TERM
from recall.leaning import BY_LISTS, BY_SOUND
from recall.merge import K, Merged
from recall.query import RecallQuery
from recall.scored import Scored
from recall.session import FINISHED, IN_MOOD, SKIPPED
from recall.skip_chance import CHANCE, LAST, LATELY, rows_of, said_by
from recall.streak import TERM as STREAK
from recall.tracks import CataloguedTrack, Vector, matrix
from topics.records import Listen, ListeningContext

VERSION = "7"
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
    "leaning",
)
# Terms of the score that have a weight of their own beside it.
TERMS = (PRIOR_TERM, FINISHED, IN_MOOD, FATIGUE, REPEAT)
# Terms of the score by which what was skipped sinks. That it does is promised, so no weight of the score lessens them:
# they have a column of their own.
PUSHES = (SKIPPED, STREAK)
FRESH_DAYS, HEARD_DAYS = 28.0, 28.0
DAY_MS, NEVER_MS = 86_400_000, -math.inf
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
    Feature("prior_score", "its score but for `PUSHES`, less the mean of all candidates, about -1..1", 0.5, mean=1.0),
    *(Feature(name, "60 / (60 + its rank in that channel), 0 where not found; 0..1", 0.3) for name in CHANNELS),
    Feature("other_channel", "the same, the best of all other channels", 0.3),
    Feature("likeness", "greatest cosine to what the list starts from, by sound; 0..1", 0.3),
    Feature("together", "greatest cosine to what the list starts from, by the lists that hold both; 0..1", 0.3),
    Feature(BY_SOUND, "cosines to the last tracks heard, by how much more gladly than usual each was; -1..1", 2.0),
    Feature(BY_LISTS, "the same, by the lists that hold both", 2.0),
    Feature(PRIOR_TERM, "what the learned tables say of it, by its rank among the candidates, 0..1.5", 0.3),
    Feature(FINISHED, "pull of what was just finished, 0..0.3", 0.5),
    Feature(SKIPPED, "push of what was just skipped, by itself and in a row, -5..0", 0.5, mean=1.0),
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
    Feature(CHANCE, "how likely it is skipped, were it next, less 0.5; -0.5..0.5, 0 before that is learnt", 0.5),
    Feature(LAST, "1 when the last track of the session was skipped, -1 when not, 0 without one", 0.2, orders=False),
    Feature(LATELY, "the same for all of them, those of late counting most; -1..1", 0.2, orders=False),
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


def ordering(weights: Array) -> Array:
    """(SIZE,) how much each feature counts for the order, given what is believed it counts for the reward.

    What was just skipped sinks, and what is learnt may make it sink further, never less: that the next answer turns
    away from it is promised, and hardly anything is learnt of tracks that are not shown.
    """
    found: Array = ORDERING * weights
    found[COLUMN[SKIPPED]] = max(found[COLUMN[SKIPPED]], PRIOR.mean[COLUMN[SKIPPED]])
    return found


# What the chance of a skip is told by: columns as they are, and some of them also times the skips of late.
_SKIP_TOLD_BY = (
    *("prior_score", "likeness", "together", FINISHED, SKIPPED, IN_MOOD, FATIGUE, REPEAT, "popularity", "freshness"),
    *("genre_share", "artist_share", "heard", LAST, LATELY, "position"),
)
_SKIP_COLUMNS = [COLUMN[name] for name in _SKIP_TOLD_BY]
_SKIP_CROSSED = [COLUMN[name] for name in ("prior_score", "likeness", "genre_share", "artist_share", "popularity")]
_SKIP_POSITION = _SKIP_TOLD_BY.index("position")
SKIP_SIZE = len(_SKIP_COLUMNS) + len(_SKIP_CROSSED)


# (N,) how like tracks are to what a list starts from, and to what their listener leans to.
ByLists = tuple[Array | NDArray[np.float32], Array | NDArray[np.float32]]


def no_lists(tracks: Sequence[CataloguedTrack]) -> ByLists:
    """0 each: no lists were learned from."""
    return np.zeros(len(tracks)), np.zeros(len(tracks))


@dataclass(frozen=True)
class Scene:
    """What the features of one request's candidates are made of, besides the candidates.

    Attributes:
        vectors: acoustic vectors, each (64,) float32 of L2 norm 1, by track id; those that are missing are unknown.
        heard: track id -> when it was last heard.
        session: the last events of the listener, the latest last.
        by_lists: tells how like tracks are to what the list starts from by the lists that hold both, (N,) in 0..1, and
            to what the listener leans to, (N,) in -1..1.
    """

    query: RecallQuery
    vectors: Mapping[str, Vector]
    heard: Mapping[str, int]
    followed: frozenset[str]
    context: ListeningContext | None
    session: Sequence[Listen] = ()
    by_lists: Callable[[Sequence[CataloguedTrack]], ByLists] = no_lists


def features_of(candidates: Sequence[Merged], scene: Scene) -> Array:
    """(N, SIZE) float64, a row a candidate, with 0 for the position and the chance of a skip, not known yet."""
    rows = np.zeros((len(candidates), SIZE))
    if not candidates:
        return rows
    scored = Scored.of(candidates)
    tracks = scored.tracks
    popularity = [(track.popularity or 0.0) / 100 for track in tracks]
    rows[:, COLUMN["bias"]] = 1.0
    rows[:, COLUMN[SKIPPED]] = pushes = sum(map(scored.term, PUSHES))
    rows[:, COLUMN["prior_score"]] = _centred(scored.scores - pushes)
    for name in TERMS:
        rows[:, COLUMN[name]] = scored.term(name)
    _fill_channels(rows, scored.candidates)
    _fill_by_sound(rows, tracks, scene)
    rows[:, COLUMN["together"]], rows[:, COLUMN[BY_LISTS]] = scene.by_lists(tracks)
    for name, said in said_by(scene.session).items():
        rows[:, COLUMN[name]] = said
    rows[:, COLUMN["popularity"]] = popularity
    day = scene.query.now_ms // DAY_MS
    rows[:, COLUMN["freshness"]] = [_freshness(track.release_date, day) for track in tracks]
    _fill_past(rows, tracks, scene)
    if scene.context is not None:
        _fill_context(rows, tracks, popularity, scene.context)
    return rows


def skip_rows(features: Array) -> Array:
    """(N, SKIP_SIZE) what the chance of a skip is told by, of (N, SIZE); no position counts as the first."""
    rows = rows_of(features, _SKIP_COLUMNS, _SKIP_CROSSED, COLUMN[LATELY])
    position = rows[:, _SKIP_POSITION]
    position[position == 0] = 1.0
    return rows


def at_positions(rows: Array, positions: Sequence[int]) -> list[tuple[float, ...]]:
    """Features of candidates, (N, SIZE), as they are logged: at their positions, to four decimals."""
    placed = rows.copy()
    placed[:, COLUMN["position"]] = 1 / np.log2(2 + np.asarray(positions))
    return [tuple(row) for row in np.round(placed, 4).tolist()]


def _centred(scores: Array) -> Array:
    """The scores less their mean; 0 for those that are no numbers."""
    known = np.isfinite(scores)
    return np.where(known, scores - scores[known].mean(), 0.0) if known.any() else np.zeros(len(scores))


class _Columns(dict[str, int]):
    """Channel -> its column; those without one of their own share one."""

    def __missing__(self, name: str) -> int:
        return COLUMN["other_channel"]


_COLUMN_OF = _Columns({name: COLUMN[name] for name in CHANNELS})


def _fill_channels(rows: Array, candidates: Sequence[Merged]) -> None:
    found = [one.ranks for one in candidates]
    row = np.repeat(np.arange(len(found)), list(map(len, found)))
    column = np.fromiter(map(_COLUMN_OF.__getitem__, chain.from_iterable(found)), np.intp, len(row))
    ranks = np.fromiter(chain.from_iterable(some.values() for some in found), np.float64, len(row))
    np.maximum.at(rows.reshape(-1), row * SIZE + column, K / (K + ranks))


def _fill_by_sound(rows: Array, tracks: Sequence[CataloguedTrack], scene: Scene) -> None:
    starts = [start.vector for start in scene.query.starts if start.vector is not None]
    found = [scene.vectors.get(track.track_id) for track in tracks] if starts or scene.query.leaning.weights else []
    known = [row for row, vector in enumerate(found) if vector is not None]
    if known:
        placed = matrix([vector for vector in found if vector is not None])
        rows[known, COLUMN[BY_SOUND]] = placed @ scene.query.leaning.sound
        if starts:
            rows[known, COLUMN["likeness"]] = np.clip((matrix(starts) @ placed.T).max(axis=0), 0, 1)


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
        # Many tracks have the genres of their artist, and the same ones.
        shares = {genres: _greatest(by_genre, genres) for genres in {track.genres for track in tracks}}
        rows[:, COLUMN["genre_share"]] = [shares[track.genres] for track in tracks]
    wanted = by_artist.keys() | scene.followed
    # Few candidates are by any of these.
    known = [
        (row, artist.artist_id)
        for row, track in enumerate(tracks if wanted else ())
        for artist in track.artists
        if artist.artist_id in wanted
    ]
    share: dict[int, float] = {}
    for row, artist_id in known:
        share[row] = max(share.get(row, 0.0), by_artist.get(artist_id or "", 0.0))
    rows[list(share), COLUMN["artist_share"]] = list(share.values())
    rows[[row for row, artist_id in known if artist_id in scene.followed], COLUMN["followed"]] = 1.0
    if scene.heard:
        at_ms = [scene.heard.get(track.track_id, NEVER_MS) for track in tracks]
        days = np.maximum(0.0, (scene.query.now_ms - np.array(at_ms, np.float64)) / DAY_MS)
        rows[:, COLUMN["heard"]] = np.exp2(-days / HEARD_DAYS)


def _greatest(shares: Mapping[str, float], names: Sequence[str | None]) -> float:
    greatest = 0.0
    for name in names:
        if name is not None and (share := shares.get(name, 0.0)) > greatest:
            greatest = share
    return greatest


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
