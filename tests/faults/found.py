"""What the system holds: Redis and the index's files, read without the product's code."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import redis
from qdrant_client import QdrantClient
from qdrant_edge import EdgeShard, ScrollRequest

from topics.records import Artist, Playlist

PARTITIONS = 4
DECIMALS = {"popularity", "danceability", "energy", "valence", "acousticness", "instrumentalness", "tempo"}
SESSION = ("event_id", "kind", "track_id", "artist_id", "occurred_at_ms", "played_ms", "duration_ms", "session_id")
SESSION += ("request_id", "surface", "context")
RATED = {"likes": "likes", "dislikes": "dislikes", "saves": "saves", "blocked_artists": "blocked"}
RATED |= {"followed_artists": "followed"}


@dataclass(frozen=True)
class State:
    """What Redis holds.

    Attributes:
        persons: what `person show` would say of each.
        anchors: user -> (track, weight, at_ms), the latest last.
        popularity: track -> plays, at the time `counted_at_ms`.
        through: partition -> offset of the last event that counted.
    """

    persons: dict[str, dict[str, Any]]
    anchors: dict[str, list[tuple[str, float, int]]]
    popularity: dict[str, float]
    counted_at_ms: float
    half_life_ms: float
    through: dict[int, int]
    artists: dict[str, Any]
    playlists: dict[str, Any]


def read_state(server: redis.Redis) -> State:
    """Everything, key by key."""
    users = [key[len(b"person:{") : -len(b"}:meta")].decode() for key in server.scan_iter("person:*:meta", 1000)]
    marks = {
        partition: server.hgetall(f"applied:{{p{partition}}}")
        for partition in range(PARTITIONS)
        if server.exists(f"applied:{{p{partition}}}")
    }
    landmarks = [float(mark[b"landmark"]) for mark in marks.values() if b"landmark" in mark]
    half_life_ms = next((float(mark[b"half_life"]) for mark in marks.values() if b"half_life" in mark), 1.0)
    at_ms = max(landmarks, default=0.0)
    popularity: dict[str, float] = {}
    for partition, mark in marks.items():
        worth = 0.5 ** ((at_ms - float(mark.get(b"landmark", at_ms))) / half_life_ms)
        for track, plays in server.zrange(f"popularity:{{p{partition}}}", 0, -1, withscores=True):
            popularity[track.decode()] = popularity.get(track.decode(), 0.0) + plays * worth
    return State(
        persons={user: _person(server, user) for user in users},
        anchors={user: _anchors(server, user) for user in users},
        popularity=popularity,
        counted_at_ms=at_ms,
        half_life_ms=half_life_ms,
        through={partition: int(mark[b"through"]) for partition, mark in marks.items()},
        artists=_records(server, "artists", Artist.__struct_fields__),
        playlists=_records(server, "playlists", Playlist.__struct_fields__),
    )


def _person(server: redis.Redis, user: str) -> dict[str, Any]:
    key = f"person:{{{user}}}:"
    heard = [
        (_six(value), track, *struct.unpack("<II", value[6:])) for track, value in server.hgetall(key + "heard").items()
    ]
    return {
        "user_id": user,
        "events_counted": int(server.hget(key + "meta", "n") or 0),
        "heard": [
            {"track_id": track.decode(), "plays": plays, "skips": skips, "last_at_ms": at}
            for at, track, plays, skips in sorted(heard)
        ],
        **{name: _in_order(server.hgetall(key + stored)) for name, stored in RATED.items()},
        "session": [
            dict(zip(SESSION, msgspec.msgpack.decode(entry), strict=True))
            for entry in server.lrange(key + "session", 0, -1)
        ],
    }


def _anchors(server: redis.Redis, user: str) -> list[tuple[str, float, int]]:
    stored = server.hgetall(f"person:{{{user}}}:anchors")
    ordered = sorted(stored.items(), key=lambda pair: _six(pair[1]))
    return [(track.decode(), struct.unpack("<d", value[12:])[0], _six(value[6:])) for track, value in ordered][-64:]


def _six(value: bytes) -> int:
    """The number in the first six bytes."""
    return int.from_bytes(value[:6], "little")


def _in_order(stored: dict[bytes, bytes]) -> list[str]:
    return [name.decode() for name, _ in sorted(stored.items(), key=lambda pair: _six(pair[1]))]


def _records(server: redis.Redis, key: str, fields: Sequence[str]) -> dict[str, Any]:
    return {
        name.decode(): {**dict.fromkeys(fields), **msgspec.msgpack.decode(value[8:])}
        for name, value in server.hgetall(key).items()
    }


@dataclass(frozen=True)
class IndexedPoint:
    """One point of the index."""

    document: list[Any]
    payload: dict[str, Any]
    vector: list[float] | None


def read_index(directory: Path) -> dict[str, IndexedPoint]:
    """Every track of the index in the directory, by id; nobody may have it open. Decimals are kept in billionths."""
    (home,) = directory.glob("tracks-*")
    shard = EdgeShard.load(str(home / (home / "current").read_text().strip()))
    found: dict[str, IndexedPoint] = {}
    offset = None
    try:
        while True:
            records, offset = shard.scroll(
                ScrollRequest(offset=offset, limit=1_000, with_payload=True, with_vector=True)
            )
            for track_id, point in map(_point, records):
                decimals = {name: point.payload[name] / 1e9 for name in DECIMALS & point.payload.keys()}
                found[track_id] = IndexedPoint(point.document, {**point.payload, **decimals}, point.vector)
            if offset is None:
                return found
    finally:
        shard.close()


def read_collection(url: str) -> dict[str, IndexedPoint]:
    """The same from a Qdrant server that holds nothing else."""
    client = QdrantClient(url=url, check_compatibility=False)
    try:
        (collection,) = client.get_collections().collections
        found: dict[str, IndexedPoint] = {}
        offset = None
        while True:
            records, offset = client.scroll(collection.name, None, 1_000, None, offset, True, True)
            found |= map(_point, records)
            if offset is None:
                return found
    finally:
        client.close()


def _point(record: Any) -> tuple[str, IndexedPoint]:
    payload = dict(record.payload)
    kept = json.loads(payload.pop("doc"))
    return kept[0], IndexedPoint(kept, payload, (record.vector or {}).get("acoustic"))
