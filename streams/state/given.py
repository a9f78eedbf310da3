"""What the weekly lists held that people were given: as the topic has it, and for as long as it matters."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from streams.settings import Settings
from streams.state.connection import Command, RedisConnection
from streams.state.keys import given_key, key_prefix
from streams.state.scripts import script
from streams.weeks import WEEK_MS, WEEKS_KEPT
from topics.records import EarlierWeek

# Before the lists in a stored value: where in the log their record stands.
PLACE_BYTES = 10
# Of so many tracks, those of the latest lists: sixteen lists as `throughbeat weekly` makes them.
GIVEN_MAX = 500
KEPT_MS = (WEEKS_KEPT + 1) * WEEK_MS
# That there are none any more is remembered for longer than an older record may still be on its way.
NONE_KEPT_MS = 86_400_000


class GivenList(Struct, frozen=True, array_like=True, gc=False):
    """What the list of one week held."""

    week: str
    track_ids: tuple[str, ...]


class Given(Struct, frozen=True, gc=False):
    """What a record says of a person's lists, the latest first, and where it stands in the log."""

    user_id: str
    partition: int
    offset: int
    lists: tuple[GivenList, ...]


_decode = msgspec.msgpack.Decoder(tuple[GivenList, ...]).decode


class GivenStore:
    """The lists that people were given, as the last record of each says."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._prefix = key_prefix(settings.topic_prefix)

    async def put(self, given: Sequence[Given]) -> None:
        """Keep what they say; of two of one person the later in the log stands, and one without lists forgets them.

        Raises:
            StoreUnavailable: it is not known which are kept; put them again.
        """
        if given:
            await self._redis.run([self._put(one) for one in given])

    def _put(self, one: Given) -> Command:
        key, kept_ms = given_key(self._prefix, one.user_id), KEPT_MS if one.lists else NONE_KEPT_MS
        lists = msgspec.msgpack.encode(one.lists) if one.lists else b""
        return (b"EVALSHA", script("given").sha, 1, key, one.partition, one.offset, kept_ms, lists)


def within_bounds(lists: Sequence[EarlierWeek], oldest: str) -> tuple[GivenList, ...]:
    """Those lists that are kept: of the week `oldest` or later, of no more than `GIVEN_MAX` tracks together.

    Args:
        lists: the latest first.
        oldest: the first week that matters.
    """
    kept, room = [], GIVEN_MAX
    for one in lists:
        if one.week >= oldest and (track_ids := one.track_ids[:room]):
            kept.append(GivenList(one.week, track_ids))
            room -= len(track_ids)
    return tuple(kept)


def decode_given(value: bytes | None) -> tuple[GivenList, ...]:
    """The lists in a stored value, the latest first."""
    return _decode(memoryview(value)[PLACE_BYTES:]) if value is not None and len(value) > PLACE_BYTES else ()


def tracks_given(value: bytes | None, oldest: str) -> frozenset[str]:
    """The tracks in a stored value, of the week `oldest` or later."""
    return frozenset().union(*(one.track_ids for one in decode_given(value) if one.week >= oldest))
