"""The embedded Redis keeps what it acknowledged, whatever ends it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streams.embedded.errors import PortTaken
from streams.embedded.redis import EmbeddedRedis, redis_child
from streams.embedded.stack import RunningPart

BATCH = 200


def eventually(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


@pytest.fixture
def server(tmp_path: Path) -> EmbeddedRedis:
    return EmbeddedRedis(tmp_path)


@pytest.fixture
def part(server: EmbeddedRedis) -> Iterator[RunningPart]:
    running = RunningPart(redis_child(server))
    running.start()
    yield running
    running.stop()


class Incrementer:
    """Increments one counter in pipelines until the server goes away, and counts what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.acknowledged = 0
        self._client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Incrementer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=20)
        self._client.close()

    def _run(self) -> None:
        try:
            while True:
                self._increment_batch()
        except (redis.ConnectionError, redis.TimeoutError):
            return

    def _increment_batch(self) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for _ in range(BATCH):
                pipeline.incr("count")
            self.acknowledged += len(pipeline.execute())


def test_killed_server_has_every_acknowledged_write_after_its_restart(server: EmbeddedRedis, part: RunningPart) -> None:
    with Incrementer(server.url) as incrementer:
        eventually(lambda: incrementer.acknowledged >= 40_000)
        part.kill()
    part.start()
    with redis.Redis.from_url(server.url) as client:
        stored = int(client.get("count") or 0)
    # The batch that was under way when the server died was written, but nobody was told.
    assert incrementer.acknowledged <= stored <= incrementer.acknowledged + BATCH


def test_orderly_restart_keeps_address_and_data(server: EmbeddedRedis, part: RunningPart) -> None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        client.set("greeting", "hello")
        first_pid = part.pid
        part.restart()
        assert part.pid != first_pid
        assert client.get("greeting") == "hello"


def test_server_runs_with_the_settings_that_keep_data(server: EmbeddedRedis, part: RunningPart) -> None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        settings = client.config_get("append*", "maxmemory-policy", "save")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["save"] == ""


def test_another_server_on_the_port_is_not_taken_for_ours(
    server: EmbeddedRedis, part: RunningPart, tmp_path: Path
) -> None:
    stranger = EmbeddedRedis(tmp_path / "elsewhere", server.port)
    stranger.directory.mkdir(parents=True)
    assert server.is_ready()
    assert not stranger.is_ready()


def test_port_in_use_is_refused_with_advice(server: EmbeddedRedis, part: RunningPart, tmp_path: Path) -> None:
    with pytest.raises(PortTaken) as refused:
        RunningPart(redis_child(EmbeddedRedis(tmp_path / "elsewhere", server.port))).start()
    assert str(refused.value) == (
        f"port {server.port} on 127.0.0.1 is taken by another program: stop it or choose another port"
    )


def test_frozen_server_is_not_ready_until_it_thaws(server: EmbeddedRedis, part: RunningPart) -> None:
    part.freeze()
    try:
        assert not server.is_ready()
    finally:
        part.thaw()
    eventually(server.is_ready)


def test_stopped_server_is_gone(server: EmbeddedRedis, part: RunningPart) -> None:
    part.stop()
    assert part.pid is None
    assert not server.is_ready()
