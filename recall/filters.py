"""What may not be in an answer, each removal with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol, TypeVar

from recall.person import Person
from recall.query import first_day, last_day
from recall.tracks import CataloguedTrack
from topics.records import Features, Filters, RecommendationRequest

DAY_MS = 86_400_000
NO_FILTERS = Filters()


class HasTrack(Protocol):
    """Anything about one track."""

    @property
    def track(self) -> CataloguedTrack:
        """The track."""


T = TypeVar("T", bound=HasTrack)


@dataclass(frozen=True)
class Forbidden:
    """What one request forbids, worked out once."""

    track_ids: AbstractSet[str]
    heard: AbstractSet[str]
    dislikes: AbstractSet[str]
    blocked_artists: AbstractSet[str]
    filters: Filters

    def reason(self, track: CataloguedTrack) -> str | None:
        """Why the track may not come, or `None`."""
        if track.track_id in self.track_ids:
            return "excluded"
        if track.track_id in self.dislikes:
            return "disliked"
        if self.blocked_artists and not self.blocked_artists.isdisjoint(track.artist_ids):
            return "blocked_artist"
        if track.track_id in self.heard:
            return "heard"
        return None if self.filters == NO_FILTERS else next(unwanted(track, self.filters), None)


def forbidden(request: RecommendationRequest, person: Person, seed_ids: AbstractSet[str], *, now_ms: int) -> Forbidden:
    """What the request and its person forbid: seeds always, heard ones unless a number of days says since when."""
    filters = request.filters or Filters()
    return Forbidden(
        track_ids=seed_ids | set(filters.exclude_track_ids or ()),
        heard=heard_since(person, filters.exclude_heard_days, now_ms=now_ms),
        dislikes=person.dislikes,
        blocked_artists=person.blocked_artists,
        filters=filters,
    )


def heard_since(person: Person, days: float | None, *, now_ms: int) -> AbstractSet[str]:
    """Tracks heard within so many days; `None` = ever, as far as is remembered."""
    if days is None:
        return person.heard.keys()
    since_ms = now_ms - days * DAY_MS
    return {track_id for track_id, at_ms in person.heard.items() if at_ms > since_ms}


def allowed(candidates: Iterable[T], rules: Forbidden) -> Iterator[T]:
    """Those that may come, in their order, looked at as they are asked for."""
    return (candidate for candidate in candidates if rules.reason(candidate.track) is None)


def unwanted(track: CataloguedTrack, filters: Filters) -> Iterator[str]:
    """Which of the filters a track does not pass; what is unknown does not pass a filter that asks for it."""
    if filters.explicit == "exclude" and track.explicit:
        yield "explicit"
    if filters.explicit == "only" and not track.explicit:
        yield "not_explicit"
    if filters.market is not None and track.markets is not None and filters.market not in track.markets:
        yield "market"
    if filters.genres_any and set(filters.genres_any).isdisjoint(track.genres):
        yield "genres_any"
    if filters.genres_none and not set(filters.genres_none).isdisjoint(track.genres):
        yield "genres_none"
    if not _released_between(track, filters):
        yield "released"
    yield from (f"feature_{name}" for name in _out_of_range(track.features or Features(), filters))


def _released_between(track: CataloguedTrack, filters: Filters) -> bool:
    low, high = first_day(filters.released_from), last_day(filters.released_to)
    if low is None and high is None:
        return True
    released = first_day(track.release_date)
    return released is not None and (low is None or released >= low) and (high is None or released <= high)


def _out_of_range(features: Features, filters: Filters) -> Iterator[str]:
    for name, (low, high) in (filters.features or {}).items():
        value = getattr(features, name)
        if value is None or not low <= value <= high:
            yield name
