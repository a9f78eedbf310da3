"""A `TrackFilter` in the words of a Qdrant server."""

from __future__ import annotations

from collections.abc import Iterator

from qdrant_client import models

from recall.index.filters import AnyOf, Between, Condition, TheseTracks, forbidden, required
from recall.index.points import point_id
from recall.index.protocol import TrackFilter


def server_filter(where: TrackFilter) -> models.Filter | None:
    """The filter for a Qdrant server; `None` when nothing is restricted. Raises as `edge_filter` does."""
    must, must_not = list(_server(required(where))), list(_server(forbidden(where)))
    return models.Filter(must=must or None, must_not=must_not or None) if must or must_not else None


def _server(conditions: list[Condition]) -> Iterator[models.Condition]:
    for condition in conditions:
        match condition:
            case AnyOf(field, keywords):
                yield models.FieldCondition(key=field, match=models.MatchAny(any=list(keywords)))
            case Between(field, low, high):
                yield models.FieldCondition(key=field, range=models.Range(gte=low, lte=high))
            case TheseTracks(track_ids):
                yield models.HasIdCondition(has_id=list(map(point_id, track_ids)))
