"""What may not be in an answer, each removal with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, TypeVar

from recall.duplicates import Recordings
from recall.person import Person
from recall.query import first_day, last_day
from recall.tracks import CataloguedTrack, HasTrack
from topics.records import Features, Filters, RecommendationRequest

DAY_MS = 86_400_000
NO_FILTERS = Filters()
# Two tracks follow one another without a jolt within these; half and double time count as the same pulse.
SAME_PULSE_BPM = 20.0
SAME_ENERGY = 0.3 + 1e-9  # 0.8 less 0.5 is a little more

# What each feature can be at all; the others are 0..1.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "key": (-1, 11),
    "mode": (-1, 1),
    "loudness": (-80, 10),
    "tempo": (0, 300),
    "time_signature": (0, 16),
}


T = TypeVar("T", bound=HasTrack)


@dataclass(frozen=True)
class Forbidden:
    """What one request forbids, worked out once.

    Attributes:
        recordings: of which no release may come, each with the reason.
        like: features of what the list starts from, where each track must go together with one of them.
    """

    track_ids: AbstractSet[str]
    heard: AbstractSet[str]
    dislikes: AbstractSet[str]
    blocked_artists: AbstractSet[str]
    earlier_lists: AbstractSet[str]
    recordings: Recordings[str]
    like: Sequence[Features]
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
        if track.track_id in self.earlier_lists:
            return "earlier_list"
        if self.filters != NO_FILTERS and (unfit := next(unwanted(track, self.filters), None)):
            return unfit
        if self.like and not any(go_together(track.features or Features(), one) for one in self.like):
            return "incompatible"
        return self.recordings.find(track)


class Sifted(Generic[T]):
    """Those candidates that may come, in their order, looked at as they are asked for.

    Attributes:
        removed: track id -> reason, of those looked at that may not come.
    """

    def __init__(self, candidates: Iterable[T], rules: Forbidden) -> None:
        self._candidates = candidates
        self._rules = rules
        self.removed: dict[str, str] = {}

    def __iter__(self) -> Iterator[T]:
        reason_of = self._rules.reason
        for candidate in self._candidates:
            reason = reason_of(candidate.track)
            if reason is None:
                yield candidate
            else:
                self.removed[candidate.track.track_id] = reason


def forbidden(
    request: RecommendationRequest,
    person: Person,
    starts: Sequence[CataloguedTrack],
    disliked: Sequence[CataloguedTrack] = (),
    *,
    held: AbstractSet[str] = frozenset(),
    now_ms: int,
) -> Forbidden:
    """What the request and its person forbid: heard ones unless a number of days says since when.

    Args:
        request: what was asked.
        person: who asked.
        starts: what the list starts from; of those that the request itself names no release comes.
        disliked: those of the person's dislikes that the catalogue holds; no release of them comes.
        held: ids of what the request's seeds stand for or hold, whether the catalogue has them or not.
        now_ms: the time.
    """
    filters = request.filters or NO_FILTERS
    seeds = starts if request.seeds else ()
    recordings: Recordings[str] = Recordings()
    for tracks, reason in ((seeds, "excluded"), (disliked, "disliked")):
        for track in tracks:
            recordings.add(track, reason)
    return Forbidden(
        track_ids={track.track_id for track in seeds} | held | set(filters.exclude_track_ids or ()),
        heard=heard_since(person, filters.exclude_heard_days, now_ms=now_ms),
        dislikes=person.dislikes,
        blocked_artists=person.blocked_artists,
        earlier_lists=person.earlier_lists if request.surface == "discover_weekly" else frozenset(),
        recordings=recordings,
        like=[track.features for track in starts if track.features] if filters.compatible else (),
        filters=filters,
    )


def heard_since(person: Person, days: float | None, *, now_ms: int) -> AbstractSet[str]:
    """Tracks heard within so many days; `None` = ever, as far as is remembered."""
    if days is None:
        return person.heard.keys()
    since_ms = now_ms - days * DAY_MS
    return {track_id for track_id, at_ms in person.heard.items() if at_ms > since_ms}


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


def go_together(one: Features, other: Features) -> bool:
    """Whether two tracks have about one pulse, half or double counted, and one energy; what is unknown does not go.

    >>> slow, fast = Features(tempo=70.0, energy=0.5), Features(tempo=150.0, energy=0.7)
    >>> go_together(slow, fast), go_together(slow, Features(tempo=95.0, energy=0.5))
    (True, False)
    """
    if not one.tempo or not other.tempo or one.energy is None or other.energy is None:
        return False
    near = min(abs(one.tempo - times * other.tempo) for times in (0.5, 1.0, 2.0))
    return near <= SAME_PULSE_BPM and abs(one.energy - other.energy) <= SAME_ENERGY


def contradictions(filters: Filters | None) -> list[str]:
    """Why no track at all can pass the filters, in words; empty when some could."""
    if filters is None or filters == NO_FILTERS:
        return []
    found = []
    low, high = first_day(filters.released_from), last_day(filters.released_to)
    if low is not None and high is not None and low > high:
        found.append(f"released_from {filters.released_from} is after released_to {filters.released_to}")
    if filters.genres_any and set(filters.genres_any) <= set(filters.genres_none or ()):
        found.append("every genre of genres_any is in genres_none")
    for name, (least, most) in (filters.features or {}).items():
        lowest, highest = _BOUNDS.get(name, (0, 1))
        if least > highest or most < lowest:
            found.append(f"{name} is {lowest}..{highest}, never in [{least:g}, {most:g}]")
    return found


def why_short(count: int, limit: int, removed: Mapping[str, str], filters: Filters | None) -> str:
    """Why a list is shorter than what was asked, in words: what was left out, and what was looked for at all."""
    reasons = Counter(removed.values())
    parts = [f"{number} {reason}" for reason, number in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))]
    wanted = _asked_of_the_catalogue(filters or NO_FILTERS)
    looked = f"looked only for tracks that meet {', '.join(wanted)}; " if wanted else ""
    return f"{count} of {limit} tracks: {looked}left out {', '.join(parts) or 'none'}"


def _asked_of_the_catalogue(filters: Filters) -> list[str]:
    plain = [name for name in ("genres_any", "genres_none", "released_from", "released_to") if getattr(filters, name)]
    return [*plain, *sorted(filters.features or ())]


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
