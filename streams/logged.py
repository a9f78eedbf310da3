"""What the log says now: tracks and lists of an installation, read from Kafka from beginning to end.

The topics of the catalogue are compacted, so they hold what stands and no more; nothing need be kept beside them, and
reading again never counts anything twice. A withdrawn playlist is not there any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from msgspec import Struct

from recall.tracks import CataloguedTrack
from streams.agents.catalogue import catalogued
from topics.codec import decode
from topics.connection import BrokerUnavailable, Connection
from topics.errors import RecordRefused
from topics.records import Artist, Playlist, Track
from topics.specs import (
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    LISTENING_SESSIONS,
    TopicSpec,
    full_name,
)

Ends = dict[str, dict[str, int]]

# What tables are learned from; a change of any of them makes them old.
READ = (CATALOG_TRACKS, CATALOG_ARTISTS, CATALOG_PLAYLISTS, LISTENING_SESSIONS)
POLL_MS = 500
SILENT_S = 30.0


class _Heard(Struct):
    track_id: str
    skipped: bool = False


class _Session(Struct):
    tracks: tuple[_Heard, ...] = ()


@dataclass(frozen=True)
class Logged:
    """What stood in the log.

    Attributes:
        lists: of playlists, then of sessions, those that came last at the end.
        listeners: tracks of all sessions of each person, those heard last at the end.
        offsets: topic -> partition -> the next to read.
    """

    tracks: Sequence[CataloguedTrack]
    lists: Sequence[Sequence[str]]
    listeners: Sequence[Sequence[str]]
    offsets: Ends


def ends_of(connection: Connection, prefix: str) -> Ends:
    """Where the topics end now.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    consumer = _consumer(connection)
    try:
        return {spec.name: _ends(consumer, spec, prefix) for spec in READ}
    finally:
        consumer.close()


def read_log(connection: Connection, prefix: str) -> Logged:
    """All that the log holds at this moment.

    Raises:
        BrokerUnavailable: no broker answers, or it stops giving records.
    """
    consumer = _consumer(connection)
    try:
        offsets = {spec.name: _ends(consumer, spec, prefix) for spec in READ}
        artists = _standing(consumer, CATALOG_ARTISTS, prefix, offsets, Artist)
        tracks = _standing(consumer, CATALOG_TRACKS, prefix, offsets, Track)
        playlists = _standing(consumer, CATALOG_PLAYLISTS, prefix, offsets, Playlist)
        sessions = [(one.key, _session(one.value)) for one in _records(consumer, LISTENING_SESSIONS, prefix, offsets)]
    finally:
        consumer.close()
    lists = [*(one.track_ids for one in playlists.values()), *(one for _, one in sessions if one)]
    known = [catalogued(one, artists, added_at_ms=0) for one in tracks.values()]
    return Logged(known, lists, by_person(sessions), offsets)


def by_person(sessions: Iterable[tuple[bytes | None, Sequence[str]]]) -> list[list[str]]:
    """What each person heard, those who were heard of last at the end; who has no name is no one."""
    found: dict[bytes, list[str]] = {}
    for user_id, heard in sessions:
        if user_id is not None and heard:
            found[user_id] = [*found.pop(user_id, ()), *heard]
    return list(found.values())


def read_catalogue(connection: Connection, prefix: str) -> tuple[list[CataloguedTrack], dict[str, Playlist]]:
    """Tracks, and playlists by id, that the log holds at this moment.

    Raises:
        BrokerUnavailable: no broker answers, or it stops giving records.
    """
    consumer = _consumer(connection)
    try:
        specs = (CATALOG_ARTISTS, CATALOG_TRACKS, CATALOG_PLAYLISTS)
        offsets = {spec.name: _ends(consumer, spec, prefix) for spec in specs}
        artists = _standing(consumer, CATALOG_ARTISTS, prefix, offsets, Artist)
        tracks = _standing(consumer, CATALOG_TRACKS, prefix, offsets, Track)
        playlists = _standing(consumer, CATALOG_PLAYLISTS, prefix, offsets, Playlist)
    finally:
        consumer.close()
    return [catalogued(one, artists, added_at_ms=0) for one in tracks.values()], playlists


def read_records(
    connection: Connection, prefix: str, spec: TopicSpec, wanted: Callable[[int], bool] = lambda partition: True
) -> Iterator[Any]:
    """Every record that the partitions wanted of a topic hold at this moment, as it is, in the order of each.

    Raises:
        BrokerUnavailable: no broker answers, or it stops giving records.
    """
    consumer = _consumer(connection)
    try:
        ends = {one: end for one, end in _ends(consumer, spec, prefix).items() if wanted(int(one))}
        yield from _records(consumer, spec, prefix, {spec.name: ends})
    finally:
        consumer.close()


def partitions_of(connection: Connection, spec: TopicSpec, prefix: str) -> int:
    """How many partitions a topic has; 0 when there is none.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    consumer = _consumer(connection)
    try:
        return len(_ends(consumer, spec, prefix))
    finally:
        consumer.close()


def _consumer(connection: Connection) -> Any:
    return connection.open(KafkaConsumer, enable_auto_commit=False, metrics_enabled=False, fetch_max_bytes=8 << 20)


def _ends(consumer: Any, spec: TopicSpec, prefix: str) -> dict[str, int]:
    name = full_name(spec, prefix)
    places = [TopicPartition(name, one) for one in consumer.partitions_for_topic(name) or ()]
    return {str(place.partition): end for place, end in sorted(consumer.end_offsets(places).items())} if places else {}


def _records(consumer: Any, spec: TopicSpec, prefix: str, offsets: Ends) -> Iterator[Any]:
    """Every record of a topic up to the offsets, in the order of each partition."""
    places = {TopicPartition(full_name(spec, prefix), int(one)): end for one, end in offsets[spec.name].items() if end}
    if not places:
        return
    consumer.assign(list(places))
    consumer.seek_to_beginning(*places)
    last_s = time.monotonic()
    while any(consumer.position(place) < end for place, end in places.items()):
        found = consumer.poll(timeout_ms=POLL_MS, max_records=10_000)
        for place, records in found.items():
            yield from (one for one in records if one.offset < places[place])
        if found:
            last_s = time.monotonic()
        elif time.monotonic() - last_s > SILENT_S:
            raise BrokerUnavailable(f"Kafka gave nothing of {spec.name} for {SILENT_S:g} s")


def _standing(consumer: Any, spec: TopicSpec, prefix: str, offsets: Ends, kind: type[Any]) -> dict[str, Any]:
    """The last record of each id, those with the oldest stamp replaced by none that is older; withdrawn ones gone."""
    found: dict[str, Any] = {}
    for one in _records(consumer, spec, prefix, offsets):
        if one.key is None:
            continue
        key = one.key.decode(errors="replace")
        if one.value is None:
            found.pop(key, None)
            continue
        try:
            record = decode(one.value, kind)
        except RecordRefused:
            continue
        before = found.pop(key, None)
        newer = before is None or (record.updated_at_ms or before.updated_at_ms or 0) >= (before.updated_at_ms or 0)
        found[key] = record if newer else before
    return found


def _session(value: bytes | None) -> tuple[str, ...]:
    """What a person heard and did not skip."""
    try:
        session = msgspec.json.decode(value or b"{}", type=_Session)
    except msgspec.DecodeError:
        return ()
    return tuple(one.track_id for one in session.tracks if not one.skipped)
