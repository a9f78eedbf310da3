"""A Redis of a test module's own, alone or as the one node of a cluster, which refuses what spans two slots."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import redis

from streams.embedded.ports import free_port
from streams.embedded.redis import EmbeddedRedis, redis_child
from streams.embedded.stack import RunningPart
from streams.settings import Settings
from streams.state.connection import RedisConnection, connect

ALONE, CLUSTERED = "alone", "clustered"
_installation = count()


@dataclass(frozen=True)
class Server:
    """A server that runs; `part` can be stopped, killed and frozen."""

    url: str
    socket_url: str
    part: RunningPart

    def settings(self, **overrides: Any) -> Settings:
        """Settings of an installation that nobody else uses."""
        return Settings(redis_url=self.url, topic_prefix=f"t{next(_installation)}", **overrides)

    @asynccontextmanager
    async def connected(self, settings: Settings | None = None) -> AsyncIterator[RedisConnection]:
        """A connection that is closed afterwards."""
        connection = connect(settings or self.settings())
        try:
            yield connection
        finally:
            await connection.aclose()


@contextmanager
def running_server(directory: Path, kind: str) -> Iterator[Server]:
    """A server with an append-only file in `directory`."""
    embedded = EmbeddedRedis(directory)
    child = redis_child(embedded)
    child = replace(child, argv=(*child.argv, "--unixsocket", "redis.sock"))
    if kind == CLUSTERED:
        child = replace(child, argv=(*child.argv, "--cluster-enabled", "yes", "--cluster-port", str(free_port())))
    part = RunningPart(child)
    part.start()
    try:
        if kind == CLUSTERED:
            _take_all_slots(embedded.port)
        yield Server(embedded.url, f"unix://{embedded.directory}/redis.sock", part)
    finally:
        part.stop()


def _take_all_slots(port: int) -> None:
    with redis.Redis(port=port, decode_responses=True) as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        deadline = time.monotonic() + 60
        while client.cluster("info")["cluster_state"] != "ok":
            assert time.monotonic() < deadline, "the cluster did not come up in time"
            time.sleep(0.01)
