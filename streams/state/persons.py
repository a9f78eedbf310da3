"""What is known of each person: counted once however often an event is sent, in a bounded number of bytes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from recall.person import NOBODY, Person
from streams.settings import Settings
from streams.state.connection import Command, RedisConnection
from streams.state.given import decode_given, tracks_given
from streams.state.held import (
    Held,
    decode_anchors,
    decode_heard,
    decode_rated,
    decode_session,
    person,
    report,
    session_entry,
)
from streams.state.interactions import anchor_weight
from streams.state.keys import explored_key, given_key, key_prefix, person_keys, person_of, sessions_pattern
from streams.state.scripts import script
from streams.state.watermark import decode_watermark, watermark_commands
from streams.weeks import oldest_kept
from topics.records import ARTIST_KINDS, Listen

# A person's last counted event ids, with where they were counted. No more events may be applied to persons before the
# first of them is in the counts of popularity: then a redelivered event still finds whether it was counted.
PERSON_EVENT_IDS = 200
SESSION_MAX = 50
# A session is closed when it has so many: who listens day and night costs no more than others.
SESSION_EVENTS_MAX = 200
ANCHORS_MAX = 64
# A track played for ever must not be all that a person is known for.
ANCHOR_WEIGHT_MAX = 8.0
# How person.lua says that an event counted, and that closed sessions wait.
COUNTED, CLOSING = ord("1"), b"c"


class Sent(Struct, frozen=True, gc=False):
    """A listening event with where it stands in the log."""

    partition: int
    offset: int
    event: Listen


class Applied(NamedTuple):
    """What became of events.

    Attributes:
        counted: person -> for each event, whether it counted.
        closing: persons of whom closed sessions wait to be sent.
    """

    counted: dict[str, list[bool]]
    closing: frozenset[str]


class PersonStore:
    """Persons by user id.

    The log's order decides, not `occurred_at_ms`: a wrong clock orders nothing but what was heard longest ago. A like
    ends a dislike and the other way round, `unrate` ends both. Blocking an artist does not unfollow: unblocking brings
    the follow back. Only `play` and `skip` make a track heard. An anchor is a track finished, liked, saved, repeated or
    added to a playlist: its weights add up to at most `ANCHOR_WEIGHT_MAX`, an early skip or taking back the like or the
    save lowers it, at 0 it is forgotten; a disliked track is none.
    """

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._prefix = key_prefix(settings.topic_prefix)
        self._heard_max = settings.person_heard_max
        self._rated_max = settings.person_rated_max
        self._limits = limits(settings)

    async def apply(self, by_person: Mapping[str, Sequence[Sent]]) -> Applied:
        """Let events take effect, each once, in the order given; tell for each whether it counted.

        An event that comes again gets the answer of its first time, as long as it is among the person's last
        `PERSON_EVENT_IDS`; one whose `event_id` is among them, sent at another offset, does not count.

        Raises:
            StoreUnavailable: it is not known which took effect; apply them again.
        """
        verdicts = await self._redis.run([self._apply(user_id, sent) for user_id, sent in by_person.items()])
        counted = {
            user_id: [one == COUNTED for one in given[: len(sent)]]
            for (user_id, sent), given in zip(by_person.items(), verdicts, strict=True)
        }
        closing = (user_id for user_id, given in zip(by_person, verdicts, strict=True) if given.endswith(CLOSING))
        return Applied(counted, frozenset(closing))

    def _apply(self, user_id: str, sent: Sequence[Sent]) -> Command:
        keys = person_keys(self._prefix, user_id)
        effects = chain.from_iterable(map(effect, sent))
        return (b"EVALSHA", script("person").sha, len(keys), *keys, self._limits, *effects)

    async def read(self, user_id: str) -> Person:
        """The person as recall wants them; somebody unknown has done nothing.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        found, _ = await self.read_for_answer(user_id, 0)
        return found

    async def read_for_answer(self, user_id: str | None, partitions: int) -> tuple[Person, dict[int, int]]:
        """The person (nobody for `None`), and how far the events in what was read had counted, at least.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        asked = watermark_commands(self._prefix, partitions)
        if user_id is None:
            return NOBODY, decode_watermark(await self._redis.run(asked) if asked else ())
        discoveries = (b"HMGET", explored_key(self._prefix, user_id), b"tried", b"glad")
        lists = (b"GET", given_key(self._prefix, user_id))
        commands = [*asked, *self._read(user_id, SESSION_MAX), discoveries, lists]
        *replies, explored, given = await self._redis.run(commands)
        found = person(
            user_id,
            replies[partitions + 1 :],
            heard_max=self._heard_max,
            rated_max=self._rated_max,
            anchors_max=ANCHORS_MAX,
            earlier_lists=tracks_given(given, oldest_kept(int(time.time() * 1000))) if given else frozenset(),
        )
        if explored[0] is not None:
            tried, glad = map(float, explored)
            found = msgspec.structs.replace(found, explored=tried, explored_gladly=glad)
        return found, decode_watermark(replies[:partitions])

    def _read(self, user_id: str, session: int) -> list[Command]:
        """Everything that is read of one person, by key, with the last `session` events (0 = all).

        No MULTI, which a server short of memory refuses even for reads: an event that comes in between may show in one
        part and not in another, as it may a moment later or earlier.
        """
        meta, _, _, *hashes, events = person_keys(self._prefix, user_id)
        return [(b"HGET", meta, b"n"), *((b"HGETALL", key) for key in hashes), (b"LRANGE", events, -session, -1)]

    async def held(self, user_id: str) -> Held:
        """All that is held about a person.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        lists = (b"GET", given_key(self._prefix, user_id))
        counted, heard, *rated, anchors, session, given = await self._redis.run([*self._read(user_id, 0), lists])
        likes, dislikes, saves, blocked, followed = (decode_rated(flat, self._rated_max) for flat in rated)
        return Held(
            events_counted=int(counted or 0),
            heard=decode_heard(heard, self._heard_max),
            likes=likes,
            dislikes=dislikes,
            saves=saves,
            blocked_artists=blocked,
            followed_artists=followed,
            anchors=decode_anchors(anchors, ANCHORS_MAX),
            session=decode_session(session),
            weekly_lists=decode_given(given),
        )

    async def person_report(self, user_id: str) -> dict[str, Any]:
        """What `person show` says of somebody, ready for JSON.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return report(user_id, await self.held(user_id))

    async def active_since(self, at_ms: int) -> list[str]:
        """Ids of the persons whose last event occurred then or later, sorted; looks at every person.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        active: set[str] = set()
        async for keys in self._redis.scan(sessions_pattern(self._prefix)):
            lasts = await self._redis.run([(b"LINDEX", key, -1) for key in keys])
            found = zip(keys, lasts, strict=True)
            active.update(
                person_of(self._prefix, key)
                for key, last in found
                if last is not None and decode_session([last])[0].occurred_at_ms >= at_ms
            )
        return sorted(active)

    async def forget(self, user_id: str) -> None:
        """Delete all that is held about a person; events that come again later are new.

        Raises:
            StoreUnavailable: it is not known whether it was deleted; forget again.
        """
        beside = (explored_key(self._prefix, user_id), given_key(self._prefix, user_id))
        await self._redis.run([(b"UNLINK", *person_keys(self._prefix, user_id), *beside)])


def limits(settings: Settings) -> bytes:
    """How much is remembered of a person, and when a session ends, as person.lua takes it."""
    return msgspec.msgpack.encode(
        {
            "event_ids": PERSON_EVENT_IDS,
            "session": SESSION_MAX,
            "heard": settings.person_heard_max,
            "rated": settings.person_rated_max,
            "anchors": ANCHORS_MAX,
            "anchor_weight": ANCHOR_WEIGHT_MAX,
            "session_events": SESSION_EVENTS_MAX,
            "silence_ms": round(settings.session_silence_s * 1000),
        }
    )


def effect(sent: Sent) -> Command:
    """What an event is to its person, as person.lua takes it."""
    event = sent.event
    return (
        sent.partition,
        sent.offset,
        hashlib.blake2b(event.event_id.encode(), digest_size=8).digest(),
        event.kind,
        (event.artist_id if event.kind in ARTIST_KINDS else event.track_id) or "",
        event.occurred_at_ms,
        repr(anchor_weight(event)),
        session_entry(event),
    )
