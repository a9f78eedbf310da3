"""Is every part there and does it do its work; if not, what to do."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kafka.admin import KafkaAdminClient

from models.errors import ModelError
from models.versions import checkpoint_version
from recall.errors import IndexUnavailable
from streams.connections import connection_of
from streams.errors import StreamError
from streams.lag import end_offsets, group_names, lag_of
from streams.observing.targets import read_targets
from streams.secrets import shown_url
from streams.serving.announcements import read_updates
from streams.settings import Settings
from streams.state.connection import connect
from topics.client import Client
from topics.errors import TopicError
from topics.records import RecommendationRequest
from topics.specs import (
    ALL,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    DEAD_LETTERS,
    LISTENING_EVENTS,
    REQUESTS,
    SERVED,
    TopicSpec,
    full_name,
)

ANSWER_WITHIN_S = 5.0
READ_BY = (
    (CATALOG_TRACKS, "catalogue"),
    (LISTENING_EVENTS, "listening"),
    (SERVED, "learning"),
    (CATALOG_PLAYLISTS, "cooccurrence"),
    (REQUESTS, "recommendations"),
)
LAG_OF_NOTE = 10_000


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        detail: what was found.
        advice: what to do; empty when all is well.
    """

    part: str
    ok: bool
    detail: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """Look at each part in turn; those that need a part that is away are not looked at."""
    yield check_embedding(settings)
    yield check_redis(settings)
    if settings.qdrant_url:
        yield check_qdrant(settings)
    try:
        admin = connection_of(settings).open(KafkaAdminClient)
    except TopicError as error:
        yield Check(
            "kafka", False, str(error), "check THROUGHBEAT_KAFKA_URL and what goes with it, or start `throughbeat up`"
        )
        return
    try:
        yield Check("kafka", True, f"answers at {settings.kafka_url}")
        yield from check_topics(admin, settings)
    finally:
        admin.close()
    yield from check_versions(settings)
    for worker, address in read_targets(settings.data_dir).items():
        yield check_worker(worker, address)
    yield check_answers(settings)


def check_versions(settings: Settings) -> Iterator[Check]:
    """Which versions serve, and did one that was wanted turn out to be unfit."""
    try:
        states, _ = read_updates(connection_of(settings), settings.topic_prefix)
    except TopicError as error:
        yield Check("models", False, str(error), "give this user the right to read models.updates")
        return
    for name, state in sorted(states.items()):
        wanted = f", {state.wanted} is being made ready" if state.wanted else ""
        advice = f"the version that was wanted last is unfit: {state.refused}" if state.refused else ""
        yield Check(name, True, f"{state.version} serves{wanted}", advice)


def check_embedding(settings: Settings) -> Check:
    """Does the installation bring weights to embed tracks with."""
    try:
        return Check("weights", True, f"embeat_mlp {checkpoint_version(settings.embeat_mlp_checkpoint)}")
    except ModelError as error:
        return Check("weights", False, str(error), "name a file of weights in THROUGHBEAT_EMBEAT_MLP_CHECKPOINT")


def check_redis(settings: Settings) -> Check:
    """Does Redis answer, and would it keep what it acknowledged."""
    try:
        asyncio.run(_ask_redis(settings, b"PING"))
    except StreamError as error:
        return Check("redis", False, str(error), "check THROUGHBEAT_REDIS_URL and what goes with it")
    try:
        found = asyncio.run(_ask_redis(settings, b"CONFIG", b"GET", b"appendonly"))
    except StreamError:
        # Who runs Redis for others often forbids this.
        advice = "make sure that it has an append-only file: it does not say"
        return Check("redis", True, "answers", advice)
    values = list(found.values()) if isinstance(found, dict) else list(found)
    if not values or values[-1] not in (b"yes", "yes"):
        return Check("redis", False, "keeps nothing over a crash", "set `appendonly yes`")
    return Check("redis", True, "answers, append-only file on")


async def _ask_redis(settings: Settings, *command: bytes) -> Any:
    redis = connect(settings)
    try:
        (reply,) = await redis.run([command])
        return reply
    finally:
        await redis.aclose()


def check_qdrant(settings: Settings) -> Check:
    """Does the server of the index answer."""
    from recall.index.server import Server  # a client that only some installations need

    try:
        server = Server(settings.qdrant_url, settings.qdrant_api_key, settings.qdrant_ca_file)
        found = asyncio.run(server.collections())
    except IndexUnavailable as error:
        return Check(
            "qdrant", False, str(error), f"is it at {shown_url(settings.qdrant_url)}? See THROUGHBEAT_QDRANT_URL"
        )
    return Check("qdrant", True, f"answers, {len(found)} collections")


def check_topics(admin: Any, settings: Settings) -> Iterator[Check]:
    """Are all topics there, do workers read them, and how far behind are they."""
    prefix = settings.topic_prefix
    there = set(admin.list_topics())
    absent = [name for spec in ALL if (name := full_name(spec, prefix)) not in there]
    if absent:
        yield Check("topics", False, f"missing: {', '.join(absent)}", "run `throughbeat topics create`")
        return
    yield Check("topics", True, f"all {len(ALL)} there")
    dead = sum(sum(end_offsets(admin, full_name(spec, prefix)).values()) for spec in DEAD_LETTERS)
    yield Check("dead letters", True, str(dead), "look at them with `throughbeat dead-letters list`" if dead else "")
    installation = full_name(REQUESTS, prefix).removesuffix(REQUESTS.name)
    groups = [name for name in group_names(admin) if name.startswith(f"{installation}throughbeat.")]
    for spec, role in READ_BY:
        yield check_role(admin, spec, role, groups, prefix)


def check_role(admin: Any, spec: TopicSpec, role: str, groups: list[str], prefix: str) -> Check:
    """Does a worker read a topic."""
    mine = [group for group in groups if group.partition("throughbeat.")[2].partition(".")[0] == role]
    members = sum(len(found["members"]) for found in admin.describe_groups(mine).values()) if mine else 0
    lag = lag_of(admin, spec, prefix, role)
    if not members:
        return Check(f"worker {role}", False, "none runs", f"start `throughbeat worker --roles {role}`")
    advice = f"add workers with `throughbeat worker --roles {role}`" if lag > LAG_OF_NOTE else ""
    return Check(f"worker {role}", True, f"{members} running, {lag} records behind", advice)


def check_worker(worker: str, address: str) -> Check:
    """Is a worker of the embedded stack ready, by its own word."""
    part, log = f"metrics {worker}", f"look into logs/worker-{worker}.log of the data directory"
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=ANSWER_WITHIN_S):
            return Check(part, True, f"http://{address}/metrics")
    except urllib.error.HTTPError as refusal:
        return Check(part, False, f"not ready: {refusal.read().decode(errors='replace').strip()}", log)
    except OSError as error:
        return Check(part, False, f"http://{address}/readyz does not answer: {error}", log)


def check_answers(settings: Settings, clock: Callable[[], float] = time.perf_counter) -> Check:
    """Does a request come back with a list, and how fast."""
    request = RecommendationRequest(request_id=f"doctor-{uuid.uuid4().hex}", limit=1, deadline_ms=5_000)
    try:
        with Client(connection_of(settings), settings.topic_prefix) as client:
            began = clock()
            reply = client.ask(request, timeout_s=ANSWER_WITHIN_S)
            took_ms = (clock() - began) * 1000
    except TopicError as error:
        return Check("answers", False, str(error), "look into the logs of the recommendations worker")
    if reply.error is not None:
        return Check("answers", False, f"{reply.error.code}: {reply.error.message}", "look into the worker's log")
    if not reply.items:
        advice = "import a catalogue with `throughbeat import tracks FILE`"
        return Check("answers", True, f"an empty list in {took_ms:.1f} ms", advice)
    return Check("answers", True, f"a list in {took_ms:.1f} ms")
