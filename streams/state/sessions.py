"""Closed sessions between the person they belong to and the topic they are sent to.

A session is closed in the person's own keys, in one step with the event or the silence that ends it, and stays there
until the broker holds it. Who is to be looked at, and when, is kept by partition of `listening.events`: a claim holds
persons for `CLAIM_S`, so that what a dead worker was about to send is sent by the next.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import chain
from typing import NamedTuple

import msgspec
from msgspec import Struct

from streams.settings import Settings
from streams.state.connection import Command, RedisConnection
from streams.state.held import SessionEvent, listening_context
from streams.state.keys import PERSON_KEYS, due_key, key_prefix, person_keys
from streams.state.persons import limits
from streams.state.scripts import script
from topics.records import ListeningSession, SessionTrack

CLAIM_S = 15.0
# A person may have many sessions waiting, of up to `SESSION_EVENTS_MAX` events each.
PERSONS_AT_ONCE = 64

HEARING = ("play", "skip")
_META, _CLOSED = PERSON_KEYS.index(b":meta"), PERSON_KEYS.index(b":closed")
_TIMES = struct.Struct("<IHIH")
_decode_events = msgspec.msgpack.Decoder(list[SessionEvent]).decode


class Claim(NamedTuple):
    """Persons of one partition that nobody else looks at for `CLAIM_S`."""

    partition: int
    score: bytes
    user_ids: tuple[str, ...]


class Closed(Struct, frozen=True):
    """A closed session that is still to be sent.

    Attributes:
        field: what the person's keys call it.
        session: `None` when nothing was heard in it.
    """

    user_id: str
    field: bytes
    session: ListeningSession | None


class SessionStore:
    """Sessions that are to be closed and sent."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._prefix = key_prefix(settings.topic_prefix)
        self._silence_ms = round(settings.session_silence_s * 1000)
        self._limits = limits(settings)

    async def note(self, listened: Mapping[int, Set[str]], closing: Set[str]) -> None:
        """Have persons looked at after a silence, and those who are closing at once.

        Args:
            listened: partition -> persons of whom events were applied.
            closing: those of them whose closed sessions wait to be sent.

        Raises:
            StoreUnavailable: it is not known whose visit was noted; note them again.
        """
        notes = [self._note(partition, persons & closing, persons - closing) for partition, persons in listened.items()]
        if notes:
            await self._redis.run(notes)

    def _note(self, partition: int, at_once: Set[str], later: Set[str]) -> Command:
        key = due_key(self._prefix, partition)
        return (b"EVALSHA", script("due").sha, 1, key, self._silence_ms, len(at_once), *at_once, *later)

    async def claim(self, partition: int, *, silent: bool) -> Claim:
        """At most `PERSONS_AT_ONCE` persons who are due, the silent ones only when wanted.

        Raises:
            StoreUnavailable: it is not known who is claimed; they are due again after `CLAIM_S`.
        """
        key, held_ms = due_key(self._prefix, partition), round(CLAIM_S * 1000)
        asked = (b"EVALSHA", script("claim").sha, 1, key, PERSONS_AT_ONCE, held_ms, int(silent))
        ((score, *user_ids),) = await self._redis.run([asked])
        return Claim(partition, score, tuple(one.decode() for one in user_ids))

    async def close(self, claim: Claim, *, silent: bool) -> list[Closed]:
        """What is to be sent of the claimed persons, after closing, if wanted, the sessions that have been silent.

        Raises:
            StoreUnavailable: it is not known which sessions were closed; they are due again after `CLAIM_S`.
        """
        commands: list[Command] = []
        for user_id in claim.user_ids:
            keys = person_keys(self._prefix, user_id)
            if silent:
                commands.append((b"EVALSHA", script("person").sha, len(keys), *keys, self._limits))
            commands.append((b"HGETALL", keys[_CLOSED]))
        replies = await self._redis.run(commands)
        found = replies[1::2] if silent else replies
        return [
            Closed(user_id, field, listening_session(user_id, value))
            for user_id, flat in zip(claim.user_ids, found, strict=True)
            for field, value in zip(flat[::2], flat[1::2], strict=True)
        ]

    async def settle(self, claim: Claim, sent: Iterable[Closed]) -> None:
        """Forget what was sent, and end the claim.

        Raises:
            StoreUnavailable: it is not known what was forgotten; the rest is sent again after `CLAIM_S`.
        """
        fields: dict[str, list[bytes]] = {user_id: [] for user_id in claim.user_ids}
        for closed in sent:
            fields[closed.user_id].append(closed.field)
        due = await self._redis.run([self._sent(user_id, names) for user_id, names in fields.items()])
        pairs = chain.from_iterable((score or b"", user_id) for user_id, score in zip(fields, due, strict=True))
        key = due_key(self._prefix, claim.partition)
        await self._redis.run([(b"EVALSHA", script("settle").sha, 1, key, claim.score, *pairs)])

    def _sent(self, user_id: str, fields: Sequence[bytes]) -> Command:
        keys = person_keys(self._prefix, user_id)
        return (b"EVALSHA", script("sent").sha, 2, keys[_META], keys[_CLOSED], self._silence_ms, *fields)


def listening_session(user_id: str, value: bytes) -> ListeningSession | None:
    """A closed session as person.lua keeps it; `None` when nothing was heard in it.

    Late events stand where they occurred. The id is that of the first event that came, so that it is the same however
    often the session is sent; a person may use an event id again, but not at the same time.
    """
    started, started_high, ended, ended_high = _TIMES.unpack_from(value)
    started_at_ms, ended_at_ms = started | started_high << 32, ended | ended_high << 32
    events = _decode_events(value[_TIMES.size :])
    own = [one for one in events if one.occurred_at_ms >= started_at_ms]
    heard = [hearing(one) for one in sorted(own, key=lambda one: one.occurred_at_ms) if one.kind in HEARING]
    if not heard:
        return None
    first = events[0]
    name = f"{user_id}\n{first.event_id}\n{first.occurred_at_ms}".encode()
    return ListeningSession(
        session_id=hashlib.blake2b(name, digest_size=16).hexdigest(),
        user_id=user_id,
        started_at_ms=started_at_ms,
        ended_at_ms=ended_at_ms,
        tracks=tuple(heard),
        context=next((where for one in own if (where := listening_context(one)) is not None), None),
    )


def hearing(event: SessionEvent) -> SessionTrack:
    """A play or a skip as a session tells it."""
    skipped = event.kind == "skip"
    heard: float | None = 0.0 if skipped else 1.0
    if event.played_ms is not None:
        heard = min(1.0, event.played_ms / event.duration_ms) if event.duration_ms else None
    return SessionTrack(
        track_id=event.track_id or "",
        skipped=skipped,
        heard=heard,
        occurred_at_ms=event.occurred_at_ms,
        played_ms=event.played_ms,
        duration_ms=event.duration_ms,
    )
