"""A worker that nobody asked for a long time: its connections are gone, and the first request is answered all the same.

The long time is shortened: the broker, or the worker itself, closes what was not used for two seconds, and Redis closes
everything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from streams.connections import connection_of
from streams.embedded.stack import RunningStack, running_stack
from tests.integration.idle_worker import IDLE_MS
from tests.integration.installation import Installation, eventually, track
from topics.client import Client
from topics.records import RecommendationRequest
from topics.specs import CATALOG_TRACKS


@pytest.fixture(scope="module")
def impatient_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), broker={"connections.max.idle.ms": str(IDLE_MS)}) as running:
        yield running


def connections(worker: psutil.Process, stack: RunningStack) -> set[int]:
    """Local ports of the worker's connections to the broker."""
    broker = int(stack.kafka_bootstrap.rpartition(":")[2])
    found = worker.net_connections("tcp")
    return {one.laddr.port for one in found if one.raddr and one.raddr.port == broker and one.status == "ESTABLISHED"}


def first_request_is_answered(stack: RunningStack, here: Installation, pid: int) -> None:
    worker = psutil.Process(pid)
    with here.client:
        here.client.publish(CATALOG_TRACKS, track("t", "a"))
        here.settled(CATALOG_TRACKS)
        assert here.ask("u").status == "ok"
    used = connections(worker, stack)
    assert used
    # All are closed that are not in use by their nature, as the long fetches of the consumers are.
    eventually(lambda: len(used - connections(worker, stack)) >= 2)
    with redis.Redis.from_url(stack.redis_url) as store:
        assert store.client_kill_filter(_type="normal", skipme=True) >= 1
    with Client(connection_of(here.settings), here.settings.topic_prefix) as client:
        now_ms = int(time.time() * 1000)
        request = RecommendationRequest(request_id="first", user_id="u", sent_at_ms=now_ms, deadline_ms=1_000)
        reply = client.ask(request, timeout_s=5)
    assert (reply.status, reply.error) == ("ok", None)


def test_first_request_after_the_broker_and_redis_have_closed_idle_connections(
    impatient_broker: RunningStack, prefix: str, tmp_path: Path
) -> None:
    here = Installation(impatient_broker, prefix, tmp_path)
    with here.worker() as process:
        first_request_is_answered(impatient_broker, here, process.pid)


def test_first_request_after_the_worker_has_closed_idle_connections(
    stack: RunningStack, prefix: str, tmp_path: Path
) -> None:
    here = Installation(stack, prefix, tmp_path)
    with here.worker(module="tests.integration.idle_worker") as process:
        first_request_is_answered(stack, here, process.pid)
