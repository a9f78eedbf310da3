"""What a request asks for, in recall's terms: where to start from and what may come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recall.index.protocol import RANGED_FEATURES, FeatureRange, TrackFilter
from recall.leaning import NEITHER_WAY, Leaning
from recall.person import Person
from recall.session import liked_lately
from recall.surfaces import surface_of
from recall.tracks import ACOUSTIC, CataloguedTrack, IndexedTrack, Vector
from topics.records import Filters, RecommendationRequest

DEFAULT_LIMIT = 30
DEFAULT_BREADTH = 0.5
GENRES_MAX = 4
ARTISTS_MAX = 12
# Whose releases are looked for where releases are all that is wanted.
RELEASING_ARTISTS_MAX = 200
BECAUSE_MAX = 3


@dataclass(frozen=True)
class Start:
    """A track that the list starts from, with how much it counts: a seed, or one of the person's anchors."""

    indexed: IndexedTrack
    weight: float

    @property
    def track(self) -> CataloguedTrack:
        """The track itself."""
        return self.indexed.track

    @property
    def vector(self) -> Vector | None:
        """Its acoustic vector, unit length, unless its features are unknown."""
        return self.indexed.vectors.get(ACOUSTIC)


@dataclass(frozen=True)
class RecallQuery:
    """What every channel is given.

    Attributes:
        starts: where the list starts from, heaviest first.
        artist_ids: artists to look at, the most wanted first: those of seeds and starts, then followed ones.
        genres: of the starts, the most frequent first.
        breadth: 0 = one tight pocket, 1 = all pockets.
        where: what the engine can filter; the rest is filtered after recall.
        seeded: whether the request itself named the starts.
        described: the words that `where` was narrowed by, if there were any.
        session: ids of tracks liked just now, the latest last.
        releases: only what has come out in the last weeks is wanted, and all of it.
        leaning: which way the session has its listener lean.
    """

    starts: tuple[Start, ...]
    artist_ids: tuple[str, ...]
    genres: tuple[str, ...]
    breadth: float
    where: TrackFilter
    seeded: bool
    now_ms: int
    described: str | None = None
    session: tuple[str, ...] = ()
    releases: bool = False
    leaning: Leaning = NEITHER_WAY

    def starts_by_artist(self) -> dict[str, tuple[str, ...]]:
        """Artist id -> ids of the starts by that artist, heaviest first, a few."""
        found: dict[str, tuple[str, ...]] = {}
        for start in self.starts:
            for artist_id in start.track.artist_ids:
                found[artist_id] = (*found.get(artist_id, ()), start.track.track_id)[:BECAUSE_MAX]
        return found


def build_query(
    request: RecommendationRequest,
    person: Person,
    starts: Sequence[Start],
    seed_artists: Sequence[str],
    *,
    now_ms: int,
    described: str | None = None,
    leaning: Leaning = NEITHER_WAY,
) -> RecallQuery:
    """The query of one request, given the tracks that its seeds or its person's taste resolved to."""
    ordered = tuple(sorted(starts, key=lambda start: (-start.weight, start.track.track_id)))
    surface = surface_of(request.surface)
    followed = () if request.seeds or surface.by_pocket else person.followed_artists
    wanted = [*seed_artists, *_artists_by_weight(ordered), *followed]
    return RecallQuery(
        starts=ordered,
        artist_ids=tuple(artist for artist in dict.fromkeys(wanted) if artist not in person.blocked_artists)[
            : RELEASING_ARTISTS_MAX if surface.releases else ARTISTS_MAX
        ],
        genres=_genres_by_weight(ordered)[:GENRES_MAX],
        breadth=DEFAULT_BREADTH if request.breadth is None else request.breadth,
        where=pushed_down(request.filters, person),
        seeded=bool(request.seeds),
        now_ms=now_ms,
        described=described,
        session=liked_lately(person.session),
        releases=surface.releases,
        leaning=leaning,
    )


def pushed_down(filters: Filters | None, person: Person) -> TrackFilter:
    """The part of a request's filters that the engine answers, so that few matches are still found."""
    wanted = filters or Filters()
    ranges = [
        FeatureRange(name, low, high)
        for name, (low, high) in (wanted.features or {}).items()
        if name in RANGED_FEATURES
    ]
    return TrackFilter(
        genres_any=wanted.genres_any or (),
        genres_none=wanted.genres_none or (),
        artists_none=tuple(sorted(person.blocked_artists)),
        released_from=first_day(wanted.released_from),
        released_to=last_day(wanted.released_to),
        features=tuple(ranges),
    )


def first_day(date: str | None) -> int | None:
    """`YYYYMMDD` of the first day of a partial date: 2003 -> 20030101."""
    return None if date is None else int((date + "-01-01")[:10].replace("-", ""))


def last_day(date: str | None) -> int | None:
    """`YYYYMMDD` of the last day of a partial date: 2003 -> 20031231, 2003-02 -> 20030231."""
    if date is None:
        return None
    return int((date + {4: "-12-31", 7: "-31", 10: ""}[len(date)]).replace("-", ""))


def _artists_by_weight(starts: Sequence[Start]) -> list[str]:
    weights: Counter[str] = Counter()
    for start in starts:
        for artist_id in start.track.artist_ids:
            weights[artist_id] += start.weight  # type: ignore[assignment]
    return [artist for artist, _ in sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))]


def _genres_by_weight(starts: Sequence[Start]) -> tuple[str, ...]:
    weights: dict[str, float] = {}
    for start in starts:
        for genre in start.track.genres:
            weights[genre] = weights.get(genre, 0.0) + start.weight / len(start.track.genres)
    return tuple(genre for genre, _ in sorted(weights.items(), key=lambda pair: (-pair[1], pair[0])))
