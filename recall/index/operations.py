"""How tracks are written to a Qdrant server: it compares stamps itself, so that two workers cannot undo each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from qdrant_client import models

from recall.index.points import Version, floats, payload_of, point_id
from recall.index.schema import UPDATED_AT
from recall.tracks import IndexedTrack, Vector


def upserts(versions: Iterable[Version]) -> list[models.UpdateOperation]:
    """Tracks whole: one operation for all that share a stamp."""
    groups: dict[int | None, list[models.PointStruct]] = {}
    for version in versions:
        groups.setdefault(None if version.forced else version.stamp, []).append(_point(version.stored))
    return [
        models.UpsertOperation(upsert=models.PointsList(points=points, update_filter=_not_newer_than(stamp)))
        for stamp, points in groups.items()
    ]


def replacements(versions: Iterable[Version], own: Sequence[str]) -> Iterator[models.UpdateOperation]:
    """Tracks that are there already made new, but for what was learned of them, which an upsert would take away.

    Args:
        versions: what to store.
        own: names of the vectors that come with a track's record.
    """
    for version in versions:
        one = version.stored
        point: list[Any] = [point_id(one.track.track_id)]
        where = _unless_newer(point, None if version.forced else version.stamp)
        if one.vectors:
            vectors = [models.PointVectors(id=point[0], vector=_numbers(one))]
            yield models.UpdateVectorsOperation(
                update_vectors=models.UpdateVectors(points=vectors, update_filter=where)
            )
        if gone := [name for name in own if name not in one.vectors]:
            yield models.DeleteVectorsOperation(delete_vectors=models.DeleteVectors(filter=where, vector=gone))
        # Last, because it brings the stamp that the others are compared with.
        payload = models.SetPayload(payload=payload_of(one.track), filter=where)
        yield models.OverwritePayloadOperation(overwrite_payload=payload)


def vectors_alone(name: str, vectors: Mapping[str, Vector]) -> models.UpdateOperation:
    """Vectors of one name for tracks that are there, by track id."""
    points = [models.PointVectors(id=point_id(one), vector={name: floats(vector)}) for one, vector in vectors.items()]
    return models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=points))


def _point(one: IndexedTrack) -> models.PointStruct:
    return models.PointStruct(id=point_id(one.track.track_id), vector=_numbers(one), payload=payload_of(one.track))


def _numbers(one: IndexedTrack) -> dict[str, Any]:
    return {name: floats(vector) for name, vector in one.vectors.items()}


def _not_newer_than(stamp: int | None) -> models.Filter | None:
    """What may be overwritten: points without a newer stamp; any, by a version that always applies."""
    return None if stamp is None else models.Filter(must_not=[_newer_than(stamp)])


def _unless_newer(points: list[Any], stamp: int | None) -> models.Filter:
    """Those of the points that may be overwritten."""
    newer: list[models.Condition] | None = None if stamp is None else [_newer_than(stamp)]
    return models.Filter(must=[models.HasIdCondition(has_id=points)], must_not=newer)


def _newer_than(stamp: int) -> models.FieldCondition:
    return models.FieldCondition(key=UPDATED_AT, range=models.Range(gt=stamp))
