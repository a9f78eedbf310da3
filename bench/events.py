"""Listening events a second in one worker process, with their effects in Redis, and the floor under it: decoding only.

    python -m bench.events [--events 60000] [--people 5000] [--runs 3]

And how many a second the ranking learns from, each a play or a skip of one of the `SHOWN` tracks of an answer, joined
with what was shown. The runs alternate, on the same broker; all records are in their topics before the clock starts.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.harness import arguments, report, scratch, summary
from recall.ranking_features import SIZE, VERSION
from streams.app import add_agent, create_app
from streams.connections import connection_of
from streams.delivery import BatchDelivery, DeadLetters, Edge, Received, Refusal
from streams.embedded.stack import running_stack
from streams.observing.metrics import LESSONS
from streams.produce import FaustProducer
from streams.roles import LISTENING_PACE, assemble
from streams.settings import Settings
from streams.state.connection import connect
from streams.state.popularity import PopularityStore
from topics.admin import create_topics
from topics.client import Client
from topics.records import Listen, ListenKind, Served, ServedItem
from topics.specs import LISTENING_EVENTS, SERVED

# Tracks of an answer that are reacted to.
SHOWN = 15


def publish(settings: Settings, count: int, people: int) -> None:
    """Events as people cause them: some listen a lot, some tracks are played a lot."""
    create_topics(connection_of(settings), settings.topic_prefix, 0, 1)
    rng = np.random.default_rng(7)
    users = rng.zipf(1.3, count) % people
    tracks = rng.zipf(1.2, count) % 50_000
    kinds: list[ListenKind] = ["play", "skip", "like"]
    drawn = rng.choice(len(kinds), count, p=[0.7, 0.27, 0.03])
    with Client(connection_of(settings), settings.topic_prefix) as client:
        client.publish_many(
            LISTENING_EVENTS,
            (
                Listen(
                    event_id=f"event-{number:012d}-of-this-run",
                    user_id=f"user-{users[number]:08d}",
                    track_id=f"track-{tracks[number]:016d}",
                    kind=kinds[drawn[number]],
                    occurred_at_ms=1_790_000_000_000 + number,
                    played_ms=int(rng.integers(1_000, 240_000)),
                    duration_ms=240_000,
                )
                for number in range(count)
            ),
        )


async def with_effects(settings: Settings, count: int) -> float:
    """Events a second until every effect is in Redis."""
    async with AsyncExitStack() as opened:
        parts = await assemble(settings, ["listening"], opened)
        redis = connect(settings)
        opened.push_async_callback(redis.aclose)
        store = PopularityStore(redis, settings)

        async def applied() -> int:
            return sum(offset + 1 for offset in (await store.watermark(LISTENING_EVENTS.partitions)).values())

        return await _rate(parts.apps[0], applied, count)


def publish_answers(settings: Settings, count: int, people: int) -> int:
    """What was shown, and as many plays and skips of it, which are given back."""
    create_topics(connection_of(settings), settings.topic_prefix, 0, 1)
    rng = np.random.default_rng(7)
    answers = range(count // SHOWN)
    users = (rng.zipf(1.3, len(answers)) % people).tolist()
    features = [tuple(row) for row in np.round(rng.random((1_000, SIZE)), 4).tolist()]
    skipped = rng.random(count) < 0.3
    now_ms = int(time.time() * 1000)

    def shown(answer: int) -> Served:
        items = tuple(
            ServedItem(
                track_id=f"track-{answer * SHOWN + place:016d}",
                position=place,
                explored=False,
                propensity=None,
                features=features[(answer * SHOWN + place) % len(features)],
                feature_names_version=VERSION,
            )
            for place in range(SHOWN)
        )
        return Served(
            request_id=f"request-{answer:012d}",
            user_id=f"user-{users[answer]:08d}",
            surface="radio",
            served_at_ms=now_ms,
            policy_version="bench",
            items=items,
        )

    def reaction(number: int) -> Listen:
        return Listen(
            event_id=f"event-{number:012d}-of-this-run",
            user_id=f"user-{users[number // SHOWN]:08d}",
            track_id=f"track-{number:016d}",
            kind="skip" if skipped[number] else "play",
            occurred_at_ms=now_ms + number,
            played_ms=20_000 if skipped[number] else 240_000,
            duration_ms=240_000,
            request_id=f"request-{number // SHOWN:012d}",
        )

    with Client(connection_of(settings), settings.topic_prefix) as client:
        client.publish_many(SERVED, map(shown, answers))
        client.publish_many(LISTENING_EVENTS, map(reaction, range(len(answers) * SHOWN)))
    return len(answers) * SHOWN


async def with_lessons(settings: Settings, count: int) -> float:
    """Events a second until the ranking has learned from every one."""
    before = _learnt()

    async def learnt() -> int:
        return _learnt() - before

    async with AsyncExitStack() as opened:
        parts = await assemble(settings, ["learning"], opened)
        return await _rate(parts.apps[0], learnt, count)


def _learnt() -> int:
    topics = (SERVED.name, LISTENING_EVENTS.name)
    return sum(int(LESSONS.labels(topic, "learnt")._value.get()) for topic in topics)


async def decode_only(settings: Settings, count: int) -> float:
    """Events a second when the agent does nothing with them."""
    seen = 0

    async def ignore(batch: Sequence[Received[Listen]]) -> Sequence[Refusal]:
        nonlocal seen
        seen += len(batch)
        return ()

    async def counted() -> int:
        return seen

    app = create_app(settings, "floor")
    dead = DeadLetters(FaustProducer(app).send, LISTENING_EVENTS, settings.topic_prefix)
    edge = Edge(LISTENING_EVENTS, Listen, lambda listen: listen.user_id)
    delivery = BatchDelivery(edge, ignore, dead, LISTENING_PACE.batch_max, LISTENING_PACE.window_s, 30)
    add_agent(app, LISTENING_EVENTS, settings.topic_prefix, delivery.run)
    return await _rate(app, counted, count)


async def _rate(app: Any, done: Callable[[], Awaitable[int]], count: int) -> float:
    await app.start()
    while (first := await done()) == 0:  # noqa: ASYNC110 - polled as an operator would
        await asyncio.sleep(0.005)
    began = time.perf_counter()
    while (last := await done()) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    await app.stop()
    return (last - first) / seconds


def measure(data_dir: Path, events: int, people: int, runs: int) -> dict[str, object]:
    rates: dict[str, list[float]] = {"with_effects": [], "decode_only": [], "with_lessons": []}
    with running_stack(data_dir) as stack:
        for _ in range(runs):
            prefix = f"b{uuid.uuid4().hex[:6]}"
            settings = msgspec.structs.replace(
                Settings(),
                kafka_url=stack.kafka_bootstrap,
                redis_url=stack.redis_url,
                data_dir=data_dir,
                topic_prefix=prefix,
            )
            publish(settings, events, people)
            rates["with_effects"].append(asyncio.run(with_effects(settings, events)))
            rates["decode_only"].append(asyncio.run(decode_only(settings, events)))
            settings = msgspec.structs.replace(settings, topic_prefix=f"{prefix}l")
            reactions = publish_answers(settings, events, people)
            rates["with_lessons"].append(asyncio.run(with_lessons(settings, reactions)))
    return {f"{name}_per_s": summary(values, 0) for name, values in rates.items()}


def main() -> None:
    options = arguments(__doc__, events=60_000, people=5_000, runs=3)
    with scratch() as data_dir:
        figures = measure(data_dir, options.events, options.people, options.runs)
    report("events", {"events": options.events, "people": options.people, **figures})


if __name__ == "__main__":
    main()
