"""What happens at three times the requests that can be answered, over the whole catalogue.

    python -m bench.overload [--surge 30] [--probe 5]

The sustainable rate is found first: the highest at which at most one request in a hundred is refused. Normal is two
thirds of it. Latencies are from when a request was due to when its reply was read, by one lean client in a process of
its own, which shares the machine's cores with the stack.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import struct
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.harness import DATA, Running, arguments, report, running, scratch, summary
from bench.requests import LISTENERS, SEED, make_listeners, now_ms, tracks_of
from topics.codec import encode
from topics.records import RecommendationRequest, Seed, Track
from topics.specs import REPLIES, REQUESTS

DEADLINE_MS = 1_000
# A request is given up that has no reply after so long.
LOST_AFTER_S = 5.0
REFUSED_MAX = 0.01
FIRST_RATE, STEP, FINE_STEP = 60, 1.3, 1.1
SURGE = 3
MEMORY_EVERY_S = 0.5
PART_S = 5


class Outcome(msgspec.Struct):
    """As much of a reply as is counted."""

    status: str
    error: Code | None = None


class Code(msgspec.Struct):
    """Of an error."""

    code: str


@dataclass
class Asked:
    """One request; `how` stays empty when no reply came."""

    due_s: float
    late_s: float
    took_s: float = 0.0
    how: str = ""


@dataclass
class Asker:
    """A client that does as little as can be done for a request."""

    producer: AIOKafkaProducer
    listeners: Sequence[str]
    tracks: Sequence[Track]
    waiting: dict[bytes, Asked] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def ask(self, rate: float, seconds: float) -> list[Asked]:
        """So many requests a second for so long, and what became of them."""
        start = time.perf_counter()
        asked: list[Asked] = []
        for place in range(int(rate * seconds)):
            due_s = start + place / rate
            if (early_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            asked.append(await self._send(due_s))
        until = time.perf_counter() + LOST_AFTER_S
        while any(not one.how for one in asked) and time.perf_counter() < until:  # noqa: ASYNC110 - another process answers
            await asyncio.sleep(0.01)
        return asked

    async def _send(self, due_s: float) -> Asked:
        number = next(self.numbers)
        key = struct.pack(">Q", number)
        one = self.waiting[key] = Asked(due_s, time.perf_counter() - due_s)
        request = RecommendationRequest(
            request_id=uuid.uuid4().hex,
            user_id=self.listeners[number % len(self.listeners)],
            seeds=(Seed(track_id=self.tracks[number % len(self.tracks)].track_id),) if number % 2 else None,
            deadline_ms=DEADLINE_MS,
            sent_at_ms=now_ms(),
        )
        headers = [("kafka_correlationId", key)]
        await self.producer.send(REQUESTS.name, encode(request), (request.user_id or "").encode(), headers=headers)
        return one

    async def read(self, consumer: AIOKafkaConsumer) -> None:
        """Note every reply."""
        outcome = msgspec.json.Decoder(Outcome)
        async for record in consumer:
            one = self.waiting.pop(dict(record.headers).get("kafka_correlationId", b""), None)
            if one is not None:
                one.took_s = time.perf_counter() - one.due_s
                reply = outcome.decode(record.value)
                one.how = reply.error.code if reply.error else reply.status


@asynccontextmanager
async def asking(here: Running, listeners: Sequence[str], tracks: Sequence[Track]) -> AsyncIterator[Asker]:
    """A client that is connected."""
    servers = {"bootstrap_servers": here.settings.kafka_url}
    async with AIOKafkaProducer(**servers, linger_ms=0) as producer, AIOKafkaConsumer(**servers) as consumer:
        places = [TopicPartition(REPLIES.name, partition) for partition in range(REPLIES.partitions)]
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        asker = Asker(producer, listeners, tracks)
        reading = asyncio.create_task(asker.read(consumer))
        try:
            yield asker
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


ANSWERED = ("ok", "partial")


def figures(rate: float, asked: Sequence[Asked]) -> dict[str, Any]:
    """What became of requests: latency of those answered and of those refused, and shares of all."""
    counts = Counter(one.how or "no reply" for one in asked)
    answered = [one.took_s * 1000 for one in asked if one.how in ANSWERED]
    refused = [one.took_s * 1000 for one in asked if one.how and one.how not in ANSWERED]
    return {
        "rate": round(rate),
        "answered_ms": summary(answered) if answered else None,
        "refused_ms": summary(refused) if refused else None,
        "shares": {how: round(count / len(asked), 4) for how, count in sorted(counts.items())},
        "sent_late_ms": summary([one.late_s * 1000 for one in asked]),
    }


def is_sustained(asked: Sequence[Asked]) -> bool:
    """Whether all but one in a hundred are answered."""
    return sum(one.how not in ANSWERED for one in asked) <= REFUSED_MAX * len(asked)


async def sustainable(asker: Asker, probe_s: float) -> tuple[float, list[dict[str, Any]]]:
    """The highest rate that is sustained, within a tenth, and what was tried."""
    tried: list[dict[str, Any]] = []

    async def holds(rate: float) -> bool:
        asked = await asker.ask(rate, probe_s)
        tried.append(figures(rate, asked))
        return is_sustained(asked)

    rate = float(FIRST_RATE)
    for step in (STEP, FINE_STEP):
        while await holds(rate * step):
            rate *= step
    return rate, tried


async def memory(here: Running, seen: list[dict[str, float]]) -> None:
    """Look at the processes again and again."""
    while True:
        seen.append(here.resident_mb())
        await asyncio.sleep(MEMORY_EVERY_S)


async def measure(here: Running, options: argparse.Namespace) -> dict[str, object]:
    tracks = tracks_of(DATA / "tracks.csv.gz", 10 * LISTENERS, np.random.default_rng(SEED))
    with here.client() as client:
        listeners = list(make_listeners(client, tracks))
    async with asking(here, listeners, tracks) as asker:
        await asker.ask(30, 10)
        most, tried = await sustainable(asker, options.probe)
        normal = most * 2 / 3
        before = figures(normal, await asker.ask(normal, 2 * PART_S))
        at_most = figures(most, await asker.ask(most, 2 * PART_S))
        await asker.ask(normal, PART_S)
        resident = {"before": here.resident_mb()}
        during: list[dict[str, float]] = []
        looking = asyncio.create_task(memory(here, during))
        surge = figures(SURGE * most, await asker.ask(SURGE * most, options.surge))
        looking.cancel()
        # What comes in the first five seconds after the surge is sent, and not measured.
        await asker.ask(normal, PART_S)
        after = figures(normal, await asker.ask(normal, 2 * PART_S))
        resident["most_during"] = {name: max(one.get(name, 0.0) for one in during) for name in resident["before"]}
        resident["after"] = here.resident_mb()
    return {
        "sustainable_per_s": round(most),
        "normal": before,
        "sustained": at_most,
        "surge": surge,
        "surge_p99_of_normal": round(surge["answered_ms"]["p99"] / before["answered_ms"]["p99"], 2),
        "five_seconds_after": after,
        "resident_mb": resident,
        "tried": tried,
    }


def main() -> None:
    options = arguments(__doc__ or "", surge=30, probe=5)
    with scratch() as data_dir, running(data_dir, str(DATA)) as here:
        here.wait_until_optimised()
        found = asyncio.run(measure(here, options))
    report("overload", found)


if __name__ == "__main__":
    main()
