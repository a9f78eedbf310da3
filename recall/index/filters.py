"""A `TrackFilter` in the words of each engine.

Both are built from one list of conditions, so that they cannot come to mean different things; that of a server is in
server_filters.py, whose library takes a second to load.
"""

from __future__ import annotations

from dataclasses import dataclass

import qdrant_edge

from recall.index.points import point_id
from recall.index.protocol import RANGED_FEATURES, FeatureRange, TrackFilter

# No feature is larger, and JSON, which carries bounds to a server, has no infinity.
_LARGEST = 1e9
_BILLION = 1e9


@dataclass(frozen=True)
class AnyOf:
    """The field holds at least one of the keywords."""

    field: str
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class Between:
    """The field holds a number within the inclusive bounds."""

    field: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TheseTracks:
    """The track is one of these."""

    track_ids: tuple[str, ...]


Condition = AnyOf | Between | TheseTracks


def required(where: TrackFilter) -> list[Condition]:
    """What a track must meet, every one of them."""
    found: list[Condition] = [
        AnyOf(field, keywords)
        for field, keywords in (("genres", where.genres_any), ("artist_ids", where.artists_any))
        if keywords
    ]
    if where.released_from is not None or where.released_to is not None:
        found.append(Between("released", where.released_from, where.released_to))
    found.extend(map(_feature_range, where.features))
    return found


def forbidden(where: TrackFilter) -> list[Condition]:
    """What a track must not meet, not one of them."""
    found: list[Condition] = [
        AnyOf(field, keywords)
        for field, keywords in (("genres", where.genres_none), ("artist_ids", where.artists_none))
        if keywords
    ]
    if where.tracks_none:
        found.append(TheseTracks(where.tracks_none))
    return found


def edge_filter(where: TrackFilter) -> qdrant_edge.Filter | None:
    """The filter for Qdrant Edge; `None` when nothing is restricted.

    Raises:
        ValueError: a range over a feature that the engine does not hold.
    """
    must, must_not = list(map(_edge, required(where))), list(map(_edge, forbidden(where)))
    return qdrant_edge.Filter(must=[*must], must_not=[*must_not]) if must or must_not else None


def billionths(decimal: float) -> int:
    """A decimal as Qdrant Edge is given it in payloads and bounds: it takes an integer in half the time of a decimal.

    >>> billionths(0.735), billionths(-1e-10)
    (735000000, 0)
    """
    return round(decimal * _BILLION)


def _feature_range(wanted: FeatureRange) -> Between:
    if wanted.feature not in RANGED_FEATURES:
        raise ValueError(f"expected a feature of {', '.join(RANGED_FEATURES)}, got {wanted.feature!r}")
    return Between(wanted.feature, max(wanted.low, -_LARGEST), min(wanted.high, _LARGEST))


def _edge(condition: Condition) -> qdrant_edge.FieldCondition | qdrant_edge.HasIdCondition:
    match condition:
        case AnyOf(field, keywords):
            return qdrant_edge.FieldCondition(field, match=qdrant_edge.MatchAny(list(keywords)))
        case Between(field, low, high) if field in RANGED_FEATURES and low is not None and high is not None:
            return qdrant_edge.FieldCondition(
                field, range=qdrant_edge.RangeFloat(gte=billionths(low), lte=billionths(high))
            )
        case Between(field, low, high):
            return qdrant_edge.FieldCondition(field, range=qdrant_edge.RangeFloat(gte=low, lte=high))
        case TheseTracks(track_ids):
            return qdrant_edge.HasIdCondition(set(map(point_id, track_ids)))
