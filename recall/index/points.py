"""How a track is stored as a point, whichever engine holds it.

A point carries the whole track as one string, `doc`, which is all that an answer reads, and beside it only the fields
that the engine filters or orders by.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
import numpy as np

from recall.index.protocol import RANGED_FEATURES
from recall.index.schema import ADDED_AT, DOC, POPULARITY, RELEASED, UPDATED_AT
from recall.tracks import CataloguedTrack, IndexedTrack, Vector

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://throughbeat.dev/tracks").bytes
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?\Z", re.ASCII)
# The bits of a UUID that say how it was made, and all the others. Source: RFC 9562, section 5.5.
_VERSION_5 = 0x5 << 76 | 0x2 << 62
_HASHED = ~(0xF << 76 | 0x3 << 62)
# Points looked at from a drawn place on, for one that has the vector.
DRAWN_AT_ONCE = 16
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(CataloguedTrack)


@lru_cache(100_000)
def point_number(track_id: str) -> int:
    """The point of a track: `uuid.uuid5` of our namespace as a number, at a third of its cost."""
    digest = hashlib.sha1(_NAMESPACE + track_id.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:16], "big") & _HASHED | _VERSION_5


def drawn_point(rng: random.Random) -> int:
    """A place among the points, each as likely as any other: points are hashes of what they stand for."""
    return rng.getrandbits(128) & _HASHED | _VERSION_5


def point_text(number: int) -> str:
    """The point as engines take it."""
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def point_id(track_id: str) -> str:
    """The point of a track as engines take it: the text of `uuid.uuid5` of our namespace."""
    return point_text(point_number(track_id))


def release_day(date: str | None) -> int | None:
    """A full or partial ISO date as `YYYYMMDD`, its first day where it is partial; `None` for anything else.

    >>> release_day("2003"), release_day("2003-11"), release_day("2003-11-24"), release_day("soon")
    (20030101, 20031101, 20031124, None)
    """
    found = _DATE.match(date) if date is not None else None
    if found is None:
        return None
    year, month, day = found.groups(default="01")
    return int(year) * 10_000 + int(month) * 100 + int(day)


def payload_of(track: CataloguedTrack, decimal: Callable[[float], float] = float) -> dict[str, Any]:
    """What is stored of a track beside its vectors; what is unknown is absent, save popularity, which is then 0.

    `decimal` says how an engine is given popularity and features.
    """
    payload: dict[str, Any] = {
        DOC: _encoder.encode(track).decode(),
        POPULARITY: decimal(track.popularity or 0.0),
        UPDATED_AT: track.updated_at_ms,
        ADDED_AT: track.added_at_ms,
    }
    if track.artists:
        payload["artist_ids"] = _keywords(track.artist_ids)
    if track.genres:
        payload["genres"] = _keywords(track.genres)
    if (day := release_day(track.release_date)) is not None:
        payload[RELEASED] = day
    if track.features is not None:
        for name in RANGED_FEATURES:
            if (value := getattr(track.features, name)) is not None:
                payload[name] = decimal(value)
    return payload


def track_of(payload: Mapping[str, Any] | None) -> CataloguedTrack:
    """The track that `payload_of` stored."""
    return track_of_doc((payload or {})[DOC])


def track_of_doc(doc: str) -> CataloguedTrack:
    """The track that stands in the field `doc`."""
    return _decoder.decode(doc)


def _keywords(values: Sequence[str]) -> str | list[str]:
    """One keyword bare and several as a list: engines match both alike, and the bare one is cheaper to hand over."""
    return values[0] if len(values) == 1 else list(values)


@dataclass(frozen=True)
class Version:
    """A track to store, and whether it goes in whatever is stored (else only over an equal or older stamp)."""

    stored: IndexedTrack
    forced: bool

    @property
    def stamp(self) -> int:
        """When its owner changed it, UTC milliseconds; 0 for unknown."""
        return self.stored.track.updated_at_ms


def latest_versions(tracks: Iterable[IndexedTrack]) -> list[Version]:
    """One version a track: what upserting them one by one would leave, as far as they alone decide it.

    A stamp of 0 means "unknown", and always applies; so what follows one is judged by it alone, not by what is stored.
    """
    kept: dict[str, Version] = {}
    for one in tracks:
        before = kept.get(one.track.track_id)
        stamp = one.track.updated_at_ms
        if before is None or stamp == 0 or stamp >= before.stamp:
            kept[one.track.track_id] = Version(one, stamp == 0 or (before is not None and before.forced))
    return list(kept.values())


def check_vectors(tracks: Iterable[IndexedTrack], dimensions: Mapping[str, int]) -> None:
    """Refuse, before anything is written, what an engine would take silently or fail on half-way.

    Raises:
        ValueError: a vector has an unknown name, another dimension, or a value that is not finite in float32.
    """
    groups: dict[str, list[tuple[str, Vector]]] = {}
    for one in tracks:
        for name, vector in one.vectors.items():
            groups.setdefault(name, []).append((one.track.track_id, vector))
    for name, group in groups.items():
        check_named(name, group, dimensions)


def check_named(name: str, vectors: Sequence[tuple[str, Vector]], dimensions: Mapping[str, int]) -> None:
    """As `check_vectors`, of vectors of one name, with the ids of their tracks."""
    for track_id, vector in vectors:
        expect_shape(vector, name, dimensions, of=f"track {track_id!r}")
    if not vectors:
        return
    # One check of a matrix costs a hundredth of as many checks of a vector.
    finite = np.isfinite(np.stack([vector for _, vector in vectors])).all(axis=1)
    if not finite.all():
        track_id = vectors[int(np.argmin(finite))][0]
        raise ValueError(f"expected finite numbers in vector {name!r} of track {track_id!r}, got NaN or infinity")


def expect_shape(vector: Vector, name: str, dimensions: Mapping[str, int], *, of: str) -> None:
    """Raises ValueError unless the collection has a vector of this name and dimension."""
    if name not in dimensions:
        raise ValueError(f"expected a vector named {' or '.join(map(repr, dimensions))} for {of}, got {name!r}")
    if vector.shape != (dimensions[name],):
        raise ValueError(f"expected {dimensions[name]} numbers in vector {name!r} of {of}, got shape {vector.shape}")


def query_vector(vector: Vector, name: str, dimensions: Mapping[str, int]) -> list[float]:
    """The numbers to search with. Raises ValueError for a wrong name or dimension, or one that is not finite."""
    expect_shape(vector, name, dimensions, of="the query")
    if not np.isfinite(vector).all():
        raise ValueError(f"expected finite numbers in the query for {name!r}, got NaN or infinity")
    return floats(vector)


def floats(vector: Vector) -> list[float]:
    """The numbers of a vector as an engine takes them, at float32 precision."""
    numbers: list[float] = vector.astype(np.float32, copy=False).tolist()
    return numbers


_Item = TypeVar("_Item")


def batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Lists of at most `size`, in order: what one call to an engine is given."""
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, size)):
        yield batch
