"""What the system must hold: the topics replayed from their beginning, by plain dicts and a few lines of arithmetic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.faults.content import POISON
from tests.integration.state_oracle import Oracle
from topics.records import Artist, Listen, Playlist

HEARD_MAX, RATED_MAX = 2_000, 1_000
RANGED = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "tempo")
FEATURES = ("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness")
FEATURES += ("liveness", "valence", "tempo", "time_signature")
Place = tuple[str, int, int]


@dataclass(frozen=True)
class Placed:
    """An event with its place in the log."""

    partition: int
    offset: int
    timestamp_ms: int
    record: Any


@dataclass(frozen=True)
class StandingTrack:
    """A track that was not withdrawn: its record, and when the records of it came since it was last withdrawn."""

    record: Mapping[str, Any]
    came_ms: tuple[int, ...]

    @property
    def stamp(self) -> int:
        """Its owner's, 0 for none."""
        return self.record.get("updated_at_ms") or 0


@dataclass
class Expected:
    """What the system must hold.

    Attributes:
        listening: everybody, and the plays.
        through: partition of listening.events -> its last offset.
        artists: by id; so are `playlists` and `tracks`.
        dead: where the records stood that can never be applied.
    """

    listening: Oracle
    through: dict[int, int] = field(default_factory=dict)
    artists: dict[str, dict[str, Any]] = field(default_factory=dict)
    playlists: dict[str, dict[str, Any]] = field(default_factory=dict)
    tracks: dict[str, StandingTrack] = field(default_factory=dict)
    dead: dict[Place, Any] = field(default_factory=dict)


def replay(log: Mapping[str, Sequence[Any]]) -> Expected:
    """What follows from the records; which of them are poison says the header that the driver gave them."""
    expected = Expected(Oracle(HEARD_MAX, RATED_MAX))
    for record in (one for records in log.values() for one in records):
        if POISON in dict(record.headers):
            expected.dead[record.topic, record.partition, record.offset] = record
    for record in log["listening.events"]:
        expected.through[record.partition] = record.offset
    for record in _sound(log["listening.events"]):
        _listen(expected.listening, record)
    expected.artists = _newest(_sound(log["catalog.artists"]), Artist.__struct_fields__)
    expected.playlists = _newest(_sound(log["catalog.playlists"]), Playlist.__struct_fields__)
    for record in _sound(log["catalog.tracks"]):
        _change(expected.tracks, record)
    return expected


def _sound(records: Iterable[Any]) -> Iterable[Any]:
    return (one for one in records if POISON not in dict(one.headers))


def _listen(oracle: Oracle, record: Any) -> None:
    nothing = dict.fromkeys(Listen.__struct_fields__)
    event = SimpleNamespace(**{**nothing, **json.loads(record.value)})
    one: Any = Placed(record.partition, record.offset, record.timestamp, event)
    oracle.step_one(one)
    oracle.step_two(one)


def _newest(records: Iterable[Any], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Records by key: an older stamp than that of the one that stands is nothing, one without a stamp always stands."""
    stamps: dict[str, int] = {}
    standing: dict[str, dict[str, Any]] = {}
    for one in records:
        key = one.key.decode()
        if one.value is None:
            stamps.pop(key, None)
            standing.pop(key, None)
            continue
        record = json.loads(one.value)
        stamp = record.get("updated_at_ms") or 0
        if stamp == 0 or stamp >= stamps.get(key, 0):
            stamps[key] = stamp
            standing[key] = {**dict.fromkeys(fields), **record}
    return standing


def _change(tracks: dict[str, StandingTrack], one: Any) -> None:
    """A track: one with an older stamp than the one that stands is nothing, one without a stamp always stands."""
    key = one.key.decode()
    if one.value is None:
        tracks.pop(key, None)
        return
    record = json.loads(one.value)
    before = tracks.get(key)
    came_ms = (*(before.came_ms if before else ()), one.timestamp)
    stamp = record.get("updated_at_ms") or 0
    refused = before is not None and 0 < stamp < before.stamp
    tracks[key] = StandingTrack(before.record if refused and before else record, came_ms)


def genres_of(record: Mapping[str, Any], artists: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The track's own, then its artists', each once."""
    ids = [artist["artist_id"] for artist in record["artists"]]
    lent = [genre for i in ids if i in artists for genre in artists[i]["genres"]]
    return list(dict.fromkeys([*record["genres"], *lent]))


def document(record: Mapping[str, Any], genres: Sequence[str]) -> list[Any]:
    """The track as the index keeps it, all but the moment at which it became news."""
    album, features = record["album"], record["features"]
    return [
        *(record["track_id"], record["title"], record["artists"]),
        *(album["album_id"], album["name"], album["release_date"]),
        *(record[name] for name in ("isrc", "duration_ms", "popularity", "explicit", "markets")),
        list(dict.fromkeys(record["genres"])),
        list(genres),
        None if features is None else {**dict.fromkeys(FEATURES), **features},
        record["updated_at_ms"] or 0,
    ]


def payload(record: Mapping[str, Any], genres: Sequence[str]) -> dict[str, Any]:
    """What the index filters and orders by; what is unknown is absent."""
    features = record["features"] or {}
    artist_ids = [artist["artist_id"] for artist in record["artists"] if artist["artist_id"]]
    year, _, month = record["album"]["release_date"].partition("-")
    found = {
        "popularity": float(record["popularity"] or 0),
        "updated_at_ms": record["updated_at_ms"] or 0,
        "released": int(year) * 10_000 + int(month or 1) * 100 + 1,
        "artist_ids": artist_ids,
        "genres": list(genres),
        **{name: features.get(name) for name in RANGED},
    }
    return {name: value for name, value in found.items() if value not in (None, [])}
