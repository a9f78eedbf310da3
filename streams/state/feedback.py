"""What was shown for a request, joined with what followed, whichever comes first and however often.

One hash a request, under its own slot: what was shown, and the reactions to it, each with the place in the log that it
came from, so that whatever is delivered again is answered as it was the first time. Bounded: a request is held for a
while after its window, of each partition only the last so many are, and of one request so many reactions and tracks.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec
import numpy as np
from msgspec import Struct

from models.bandit import Array
from models.rewards import Reaction, moved_on, reaction_of, reward
from recall.blends import place_of
from recall.ranking_features import SIZE, VERSION
from streams.settings import Settings
from streams.state.connection import Command, RedisConnection
from streams.state.keys import awaiting_key, feedback_key, key_prefix
from streams.state.scripts import script
from topics.records import Listen, Served

REACTIONS_MAX = 400
HEARD = ("play", "skip")
# Nobody gets further down a list.
TRACKS_MAX = 100
HOUR_MS = 3_600_000
# An event may seem to come before what it follows, by two clocks.
CLOCKS_APART_MS = HOUR_MS
# Features travel with four decimals.
_UNIT = 10_000


class Shown(Struct, frozen=True, array_like=True, gc=False):
    """What is held of an answer.

    Attributes:
        at_ms: the time of its record, as Kafka has it.
        explored: positions that were.
        features: (tracks, SIZE) int16 in ten-thousandths, compressed.
        blend: the place of the blend of channels that it was made with, `None` where that was not to be chosen.
    """

    policy: str
    user_id: str | None
    at_ms: int
    served_at_ms: int
    track_ids: tuple[str, ...]
    explored: tuple[int, ...]
    features: bytes
    blend: str | None = None


class Reacted(Struct, frozen=True, array_like=True, gc=False):
    """A reaction with the time of its record."""

    at_ms: int
    reaction: Reaction


class Arrival(Struct, frozen=True, gc=False):
    """A record about a request: what was shown, or a reaction; `mark` tells the events of a request apart."""

    request_id: str
    source: str
    offset: int
    mark: bytes
    payload: bytes


class Lesson(Struct, frozen=True, gc=False):
    """What a record teaches: an impression's reward, or by how much it has changed.

    Attributes:
        change: of the reward; all of it when the lesson `is_new`.
        before: the reward before.
        at_ms: when the impression was shown.
        skipped: whether it was moved on from, when it was heard for the first time; `None` when it was not.
        blend: the place of the blend of channels behind it, where there is one that learns.
    """

    source: str
    offset: int
    user_id: str | None
    policy: str
    explored: bool
    features: Array
    change: float
    before: float
    at_ms: int
    is_new: bool
    skipped: bool | None = None
    blend: str | None = None


def arrival_of_served(served: Served, source: str, offset: int, timestamp_ms: int) -> Arrival | None:
    """What was shown, as it is held; `None` when its features are of another version, or none."""
    items = served.items[:TRACKS_MAX]
    if not items or any(one.feature_names_version != VERSION or len(one.features) != SIZE for one in items):
        return None
    rows = np.array([one.features for one in items])
    packed = np.clip(np.round(rows * _UNIT), -32_767, 32_767).astype(np.int16)
    shown = Shown(
        served.policy_version,
        served.user_id,
        timestamp_ms,
        served.served_at_ms,
        tuple(one.track_id for one in items),
        tuple(place for place, one in enumerate(items) if one.explored),
        zlib.compress(packed.tobytes(), 1),
        place_of(served.surface, served.listener, served.blend),
    )
    return Arrival(served.request_id, source, offset, b"", msgspec.msgpack.encode(shown))


def arrival_of_event(event: Listen, source: str, offset: int, timestamp_ms: int) -> Arrival | None:
    """The reaction, as it is held; `None` when it is to no answer, or no track."""
    reaction = reaction_of(event)
    if event.request_id is None or reaction is None:
        return None
    payload = msgspec.msgpack.encode(Reacted(timestamp_ms, reaction))
    return Arrival(event.request_id, source, offset, event.event_id.encode(), payload)


class FeedbackStore:
    """Requests that were answered lately, with the reactions to their answers."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._prefix = key_prefix(settings.topic_prefix)
        self._window_ms = round(settings.learning_window_hours * HOUR_MS)
        self._most = settings.learning_requests_max

    async def join(self, arrivals: Sequence[Arrival]) -> list[Lesson]:
        """Hold the arrivals, and tell what they teach, in their order; the same each time they come.

        Raises:
            StoreUnavailable: it is not known which are held; join them again.
        """
        by_request: dict[str, list[Arrival]] = {}
        for arrival in arrivals:
            by_request.setdefault(arrival.request_id, []).append(arrival)
        if not by_request:
            return []
        replies = await self._redis.run([self._hold(one, some) for one, some in by_request.items()])
        fresh: dict[str, list[str]] = {}
        lessons: list[Lesson] = []
        for (request_id, some), (is_new, shown, before, reactions, verdicts) in zip(
            by_request.items(), replies, strict=True
        ):
            if is_new:
                fresh.setdefault(some[0].source, []).append(request_id)
            if shown is not None:
                held = _Held(_decode_shown(shown), before, [_decode_reacted(one) for one in reactions], self._window_ms)
                lessons += held.lessons(some, verdicts)
        await self._bound(fresh)
        return lessons

    def _hold(self, request_id: str, arrivals: Sequence[Arrival]) -> Command:
        given: list[bytes | str | int] = []
        for one in arrivals:
            given += (f"{one.source} {one.offset}", one.mark, one.payload)
        # Twice the window: what is joined late by us was not late for its listener.
        keep_ms = 2 * self._window_ms
        key = feedback_key(self._prefix, VERSION, request_id)
        return (b"EVALSHA", script("feedback").sha, 1, key, keep_ms, REACTIONS_MAX, *given)

    async def _bound(self, fresh: Mapping[str, Sequence[str]]) -> None:
        """Forget the oldest requests beyond the bound."""
        if not fresh:
            return
        counts = await self._redis.run(
            [(b"RPUSH", awaiting_key(self._prefix, source), *ids) for source, ids in fresh.items()]
        )
        surplus = [
            (b"LPOP", awaiting_key(self._prefix, source), count - self._most)
            for source, count in zip(fresh, counts, strict=True)
            if count > self._most
        ]
        if surplus:
            gone = [name.decode() for names in await self._redis.run(surplus) for name in names or ()]
            await self._redis.run([(b"UNLINK", feedback_key(self._prefix, VERSION, name)) for name in gone])


class _Held:
    """One request: what was shown, and the reactions in the order in which they came; `before` of them came before."""

    def __init__(self, shown: Shown, before: int, reacted: Sequence[Reacted], window_ms: int) -> None:
        self._shown = shown
        self._before = before
        first, last = shown.at_ms - CLOCKS_APART_MS, shown.at_ms + window_ms
        self._reactions = [one.reaction if first <= one.at_ms <= last else None for one in reacted]
        self._places = {track_id: place for place, track_id in enumerate(shown.track_ids)}

    def lessons(self, arrivals: Sequence[Arrival], verdicts: Sequence[int]) -> list[Lesson]:
        found = []
        for arrival, verdict in zip(arrivals, verdicts, strict=True):
            if not arrival.mark and verdict == 1:
                early = dict.fromkeys(one.track_id for one in self._reactions[: self._before] if one is not None)
                found += [self._lesson(arrival, track_id, 0, self._before) for track_id in early]
            elif arrival.mark and verdict >= self._before and (one := self._reactions[verdict]) is not None:
                found.append(self._lesson(arrival, one.track_id, verdict, verdict + 1))
        return [one for one in found if one is not None]

    def _lesson(self, arrival: Arrival, track_id: str, known: int, now: int) -> Lesson | None:
        """What the reactions up to `now` say of a track beyond those up to `known`."""
        place = self._places.get(track_id)
        if place is None:
            return None
        earlier = [one for one in self._reactions[:known] if one is not None and one.track_id == track_id]
        later = [one for one in self._reactions[known:now] if one is not None and one.track_id == track_id]
        before = reward(earlier)
        heard = next((one for one in later if one.kind in HEARD), None)
        if any(one.kind in HEARD for one in earlier):
            heard = None
        return Lesson(
            arrival.source,
            arrival.offset,
            self._shown.user_id,
            self._shown.policy,
            place in self._shown.explored,
            self._rows[place],
            reward((*earlier, *later)) - before,
            before,
            self._shown.served_at_ms,
            is_new=not earlier,
            skipped=moved_on(heard.kind, heard.share) if heard is not None else None,
            blend=self._shown.blend,
        )

    @cached_property
    def _rows(self) -> Array:
        packed = np.frombuffer(zlib.decompress(self._shown.features), np.int16)
        rows: Array = packed.reshape(-1, SIZE) / _UNIT
        return rows


_decode_shown = msgspec.msgpack.Decoder(Shown).decode
_decode_reacted = msgspec.msgpack.Decoder(Reacted).decode
