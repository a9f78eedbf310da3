"""What a request does: it is answered within its deadline, once, to where it asked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from recall.errors import IndexUnavailable, UnknownSeed
from recall.explain import explain
from recall.exploration import Shown
from recall.merge import Merged
from recall.person import Person
from recall.pipeline import Answer, Recommender
from recall.ranking_features import VERSION as FEATURES_VERSION
from recall.surfaces import DEFAULT_SURFACE
from streams.delivery import DeadLetters
from streams.errors import Overloaded, StoreUnavailable
from streams.observing.metrics import count_reply, count_request, timed
from streams.replies import ReplyAddress, default_address, reply_address
from streams.turns import Turns
from topics.codec import MAX_RECORD_BYTES, decode, encode, require_headers
from topics.errors import RecordRefused
from topics.records import (
    ErrorCode,
    Item,
    PooledItem,
    RecommendationReply,
    RecommendationRequest,
    ReplyError,
    RequestId,
    Served,
    ServedItem,
    SurfaceName,
)
from topics.specs import SERVED, full_name

log = logging.getLogger(__name__)

# A request's own clock counts unless it is further off than requests are kept.
CLOCK_LIMIT_MS = 3_600_000
# Kept back of the deadline when waiting for events, so that there is time to answer without them.
RESERVE_S = 0.05
FIRST_POLL_S, LONGEST_POLL_S = 0.001, 0.01


class Listeners(Protocol):
    """What is known of listeners, and how far their events have counted."""

    async def read_for_answer(self, user_id: str | None, partitions: int) -> tuple[Person, dict[int, int]]:
        """The person, and the last offset of each partition whose effects are in what was read."""


class Producer(Protocol):
    """Writes to Kafka."""

    async def send(self, topic: str, key: bytes | None, value: bytes, partition: int | None, headers: Any) -> None:
        """Returns once the broker has acknowledged."""

    async def partitions_of(self, topic: str) -> int:
        """How many partitions the topic has; 0 when there is no such topic."""


@dataclass(frozen=True)
class Asked:
    """A request that could be read, with where its answer goes and when it is due."""

    request: RecommendationRequest
    address: ReplyAddress
    began_s: float
    deadline_s: float


@dataclass(frozen=True)
class Settled:
    """What was found out for one request."""

    answer: Answer
    watermark: Mapping[int, int]
    late: bool
    embeat_mlp: str


# A reply, and what it shows.
Replied = tuple[RecommendationReply, Answer]
NOTHING_SHOWN = Answer()


@dataclass(frozen=True)
class RecommendationAgent:
    """Answers requests.

    Attributes:
        models: name -> version of every model behind an answer.
        pinned: for the length of a block, one version of the embedding answers, whatever is switched meanwhile.
        reply_topics: beginnings of the topics that a request may name for its reply.
        event_partitions: partitions of listening.events.
    """

    recommender: Recommender
    listeners: Listeners
    turns: Turns
    producer: Producer
    dead_letters: DeadLetters
    models: Mapping[str, str | None]
    pinned: Callable[[], AbstractContextManager[str]]
    prefix: str
    reply_topics: Sequence[str]
    deadline_ms: int
    event_partitions: int

    async def handle(self, event: Any) -> None:
        """Answer one request, or say why not; returns once the broker holds the answer."""
        await self._answered(event, self._reply_to)

    async def shed(self, event: Any) -> None:
        """Turn a request away, at once."""
        await self._answered(event, self._overloaded)

    async def _answered(self, event: Any, reply_to: Callable[[Asked], Awaitable[Replied]]) -> None:
        message = event.message
        try:
            asked = await self._admit(message)
        except RecordRefused as refused:
            await self.dead_letters.set_aside(message, refused)
            await self._refuse(message, refused)
            return
        reply, shown = await reply_to(asked)
        took_ms = (time.perf_counter() - asked.began_s) * 1000
        value = encode(msgspec.structs.replace(reply, took_ms=round(took_ms, 3)))
        if len(value) > MAX_RECORD_BYTES:
            reply, shown = failed(asked.request, "internal", f"an answer of {len(value)} bytes: ask for fewer tracks")
            value = encode(reply)
        # Whoever asked does not wait for the log's record to be made.
        with timed("reply"):
            await self._send(asked.address, asked.request.request_id, value)
        count_reply(reply)
        count_request(reply, time.time() - message.timestamp)
        if shown.items:
            with timed("served"):
                await self._tell_served(asked.request, shown)

    async def _admit(self, message: Any) -> Asked:
        began_s = time.perf_counter()
        require_headers(message.headers or ())
        request = decode(message.value, RecommendationRequest)
        address = reply_address(message.headers or (), allowed=self.reply_topics, prefix=self.prefix)
        await self._check_exists(address)
        arrived_ms = int(message.timestamp * 1000)
        left_s = left_ms(request, arrived_ms, self.deadline_ms, now_ms=int(time.time() * 1000)) / 1000
        return Asked(request, address, began_s, asyncio.get_running_loop().time() + left_s)

    async def _check_exists(self, address: ReplyAddress) -> None:
        partitions = await self.producer.partitions_of(address.topic)
        if partitions <= (address.partition or 0):
            raise RecordRefused(
                "reply_refused",
                f"expected a reply topic and partition that exist, got {address.topic}[{address.partition or 0}] "
                f"({partitions} partitions)",
            )

    async def _reply_to(self, asked: Asked) -> Replied:
        request = asked.request
        if asyncio.get_running_loop().time() >= asked.deadline_s:
            return failed(request, "deadline_exceeded", "expected to be read before its deadline, came after it")
        try:
            settled = await self._settle(asked)
        except UnknownSeed as error:
            return failed(request, "unknown_seed", str(error))
        except Overloaded:
            return await self._overloaded(asked)
        except (StoreUnavailable, IndexUnavailable) as error:
            log.warning("no answer for %s: %s", request.request_id, error, extra={"request_id": request.request_id})
            return failed(request, "internal", f"a store is away, try again: {error}")
        if asyncio.get_running_loop().time() >= asked.deadline_s:
            return failed(request, "deadline_exceeded", "the answer was not ready before the deadline")
        return self._reply(request, settled), settled.answer

    async def _overloaded(self, asked: Asked) -> Replied:
        return failed(asked.request, "overloaded", "more requests came than can be answered, ask again later")

    async def _settle(self, asked: Asked) -> Settled:
        request = asked.request
        with timed("after"):
            late = bool(request.after) and not await self._have_counted(request.after or {}, asked.deadline_s)
        async with AsyncExitStack() as mine:
            with timed("turn"):
                await mine.enter_async_context(self.turns.turn())
            with timed("listener"):
                person, watermark = await self.listeners.read_for_answer(request.user_id, self.event_partitions)
            now_ms = int(time.time() * 1000)
            version = mine.enter_context(self.pinned())
            answer = await self.recommender.answer(request, person, now_ms=now_ms, deadline_s=asked.deadline_s)
        return Settled(answer, watermark, late, version)

    async def _have_counted(self, after: Mapping[str, int], deadline_s: float) -> bool:
        """Wait until the events up to `after` have counted; False when that takes too long."""
        loop = asyncio.get_running_loop()
        reserve_s = min(RESERVE_S, (deadline_s - loop.time()) / 4)
        pause_s = FIRST_POLL_S
        while True:
            _, watermark = await self.listeners.read_for_answer(None, self.event_partitions)
            if all(watermark.get(int(partition), -1) >= offset for partition, offset in after.items()):
                return True
            if loop.time() + pause_s >= deadline_s - reserve_s:
                return False
            await asyncio.sleep(pause_s)
            pause_s = min(1.5 * pause_s, LONGEST_POLL_S)

    def _reply(self, request: RecommendationRequest, settled: Settled) -> RecommendationReply:
        degraded = (*(("after",) if settled.late else ()), *settled.answer.degraded)
        return RecommendationReply(
            request_id=request.request_id,
            user_id=request.user_id,
            status="partial" if degraded else "ok",
            items=tuple(
                item(position, one, explained=request.explain is not False)
                for position, one in enumerate(settled.answer.items)
            ),
            degraded=degraded,
            notes=settled.answer.notes,
            models={**self.models, "embeat_mlp": settled.embeat_mlp, "bandit": settled.answer.policy},
            watermark={str(partition): offset for partition, offset in sorted(settled.watermark.items())},
            understood=settled.answer.understood,
        )

    async def _refuse(self, message: Any, refused: RecordRefused) -> None:
        """Tell the sender of an unreadable request, as far as it can be told whom."""
        try:
            require_headers(message.headers or ())
            address = reply_address(message.headers or (), allowed=self.reply_topics, prefix=self.prefix)
            await self._check_exists(address)
        except RecordRefused:
            address = default_address(message.headers or (), self.prefix)
        request_id = readable_id(message.value)
        error = ReplyError(code="invalid_request", message=str(refused)[:2000])
        reply = RecommendationReply(request_id=request_id, user_id=None, status="error", error=error)
        await self._send(address, request_id, encode(reply))
        count_reply(reply)

    async def _send(self, address: ReplyAddress, request_id: str | None, value: bytes) -> None:
        key = request_id.encode() if request_id is not None else None
        await self.producer.send(address.topic, key, value, address.partition, list(address.headers))

    async def _tell_served(self, request: RecommendationRequest, shown: Answer) -> None:
        served = served_record(
            request.request_id,
            request.user_id,
            request.surface or DEFAULT_SURFACE,
            shown.shown,
            served_at_ms=int(time.time() * 1000),
            policy_version=shown.policy,
            listener=shown.listener,
            blend=shown.blend,
        )
        key = (request.user_id or request.request_id).encode()
        await self.producer.send(full_name(SERVED, self.prefix), key, encode(served), None, [])


def left_ms(request: RecommendationRequest, arrived_ms: int, default_ms: int, *, now_ms: int) -> int:
    """How long the answer is still worth something, from the caller's own clock unless that is hours off."""
    sent_ms = request.sent_at_ms
    if sent_ms is None or abs(sent_ms - arrived_ms) > CLOCK_LIMIT_MS:
        sent_ms = arrived_ms
    return sent_ms + (request.deadline_ms or default_ms) - now_ms


def failed(request: RecommendationRequest, code: ErrorCode, message: str) -> Replied:
    """An answer without a list."""
    reply = RecommendationReply(
        request_id=request.request_id,
        user_id=request.user_id,
        status="error",
        error=ReplyError(code=code, message=message),
    )
    return reply, NOTHING_SHOWN


def item(position: int, one: Merged, *, explained: bool) -> Item:
    """One line of the answer."""
    return Item(
        position=position,
        track_id=one.track.track_id,
        title=one.track.title,
        artists=one.track.artists,
        score=round(one.score, 6),
        channels=dict(one.ranks),
        explored=one.explored,
        propensity=one.propensity,
        why=explain(one) if explained else None,
    )


def served_record(
    request_id: str,
    user_id: str | None,
    surface: SurfaceName,
    shown: Shown,
    *,
    served_at_ms: int,
    policy_version: str,
    listener: str | None = None,
    blend: str | None = None,
) -> Served:
    """What a reward model needs of an answer."""
    return Served(
        request_id=request_id,
        user_id=user_id,
        surface=surface,
        served_at_ms=served_at_ms,
        policy_version=policy_version,
        items=tuple(
            ServedItem(
                track_id=one.track.track_id,
                position=position,
                explored=one.explored,
                propensity=one.propensity,
                features=features,
                feature_names_version=FEATURES_VERSION,
            )
            for position, (one, features) in enumerate(zip(shown.items, shown.items_logged(), strict=True))
        ),
        pool=tuple(
            PooledItem(track_id=one.track_id, source=one.source, probability=one.probability, features=features)
            for one, features in zip(shown.pool, shown.pool_logged(), strict=True)
        ),
        listener=listener,
        blend=blend,
    )


class _OnlyId(msgspec.Struct):
    request_id: RequestId


def readable_id(value: bytes | None) -> str | None:
    """The request id of a request that cannot be read otherwise, if that much can be read."""
    try:
        return msgspec.json.decode(value or b"", type=_OnlyId).request_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
