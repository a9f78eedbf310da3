"""Kafka and Redis alone, for tests and benchmarks, that can be killed and restarted part by part."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from streams.embedded.child import Child
from streams.embedded.kafka import EmbeddedKafka, kafka_child
from streams.embedded.kafka_jars import default_cache_dir
from streams.embedded.lock import data_directory
from streams.embedded.ports import free_port
from streams.embedded.process import Process, end, kill_group, not_ready, spawn
from streams.embedded.redis import EmbeddedRedis, redis_child

_POLL_S = 0.02


class RunningPart:
    """One child and the process that it currently is, if any."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None while the part is down."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def launch(self) -> None:
        """Start without waiting; a part that already runs is left alone."""
        if self.pid is None:
            if self.child.prepare is not None:
                self.child.prepare()
            self._process = spawn(self.child)

    def wait_ready(self) -> None:
        """Block until the part does its work.

        Raises:
            ChildNotReady: it ended, or did not get there in time; the message ends with the tail of its log.
        """
        deadline = time.monotonic() + self.child.ready_within_s
        while not self._answers():
            if self.pid is None or time.monotonic() > deadline:
                raise not_ready(self.child, ended=self.pid is None)
            time.sleep(_POLL_S)

    def start(self) -> None:
        """Start and wait until ready."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """End the part in an orderly way and wait until it is gone."""
        if self._process is not None:
            end(self._process, self.child.stop_within_s)

    def kill(self) -> None:
        """End the part with SIGKILL and wait until it is gone."""
        if self._process is not None:
            kill_group(self._process)
            self._process.wait()

    def restart(self) -> None:
        """Start again, at the same address and on the same data, after ending it if it still runs."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the clock of the part with SIGSTOP: it holds its connections and says nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen part go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        return self.pid is not None and (self.child.probe is None or self.child.probe() is True)


class RunningStack:
    """Kafka and Redis, each with its address and its life in the caller's hands."""

    def __init__(self, kafka: EmbeddedKafka, redis: EmbeddedRedis) -> None:
        self.kafka = RunningPart(kafka_child(kafka))
        self.redis = RunningPart(redis_child(redis))
        self.kafka_bootstrap = kafka.bootstrap
        self.redis_url = redis.url

    def start(self) -> None:
        """Start both and wait until both are ready."""
        self.redis.launch()
        self.kafka.launch()
        self.redis.wait_ready()
        self.kafka.wait_ready()

    def stop(self) -> None:
        """End both, Kafka first, so that its clients' last writes find Redis."""
        self.kafka.stop()
        self.redis.stop()


@contextmanager
def running_stack(
    data_dir: Path,
    *,
    kafka_port: int | None = None,
    redis_port: int | None = None,
    cache_dir: Path | None = None,
    broker: Mapping[str, str] | None = None,
) -> Iterator[RunningStack]:
    """Run Kafka and Redis on a data directory for the length of a `with` block; `broker`: settings for Kafka.

    Raises:
        DataDirectoryInUse: another process runs on the directory.
        EmbeddedError: a part could not be prepared or did not become ready.
    """
    port = kafka_port or free_port()
    kafka = EmbeddedKafka(data_dir, port, cache_dir=cache_dir or default_cache_dir(), more=broker or {})
    stack = RunningStack(kafka, EmbeddedRedis(data_dir, redis_port or free_port()))
    with data_directory(data_dir):
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
