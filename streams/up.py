"""The whole stack on one machine: what `throughbeat up` runs, and when it is ready."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from kafka.admin import KafkaAdminClient

from streams.connections import connection_of
from streams.embedded.child import Child, ChildState
from streams.embedded.kafka import EmbeddedKafka, kafka_child
from streams.embedded.ports import free_port
from streams.embedded.redis import EmbeddedRedis, redis_child
from streams.embedded.restarts import RestartPolicy
from streams.embedded.supervisor import Supervisor
from streams.environment import SECRETS, file_variable
from streams.errors import StreamError
from streams.importing.catalogue import check_catalogue, import_catalogue
from streams.importing.run import OnProgress, Options, ignore
from streams.lag import lag_of
from streams.observing.targets import FILE, choose_addresses, encode_targets
from streams.settings import Settings, variable
from topics.admin import create_topics
from topics.client import Client
from topics.connection import BrokerUnavailable
from topics.errors import TopicError
from topics.records import RecommendationRequest
from topics.specs import CATALOG_TRACKS

# Two processes by what they own: ingest does not take the answers' time.
WORKERS: Mapping[str, str] = {
    "index": "catalogue,cooccurrence,recommendations",
    "listening": "listening,learning,collaborative",
}
SEARCHABLE_WITHIN_S = 600.0
STORES_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0
POLL_S = 0.1


class NotReady(StreamError):
    """The stack runs, and still does not answer."""


class StackFile(msgspec.Struct, frozen=True):
    """Where a running stack is found: the ready file. `http` is `None` until there is a gateway."""

    kafka: str
    redis: str
    data_dir: str
    http: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a person asks of `up`.

    Attributes:
        catalogue: `sample`, `none`, or a folder or file to import.
        ready_file: written once requests can be answered.
    """

    catalogue: str = "none"
    ready_file: Path | None = None
    kafka_port: int = field(default_factory=free_port)
    redis_port: int = field(default_factory=free_port)


class Stack:
    """Kafka, Redis and the workers on one data directory."""

    def __init__(
        self,
        settings: Settings,
        wanted: Wanted,
        on_change: Callable[[str, ChildState], None] = lambda name, state: None,
        on_progress: OnProgress = ignore,
    ) -> None:
        kafka = EmbeddedKafka(settings.data_dir, wanted.kafka_port)
        redis = EmbeddedRedis(settings.data_dir, wanted.redis_port)
        # Ours listen on this machine alone, and ask for nothing, whatever the environment says of others.
        self.settings = msgspec.structs.replace(
            settings,
            kafka_url=kafka.bootstrap,
            kafka_security_protocol="PLAINTEXT",
            redis_url=redis.url,
            redis_password="",
            redis_ca_file="",
        )
        self.file = StackFile(kafka.bootstrap, redis.url, str(settings.data_dir.absolute()))
        self.metrics = choose_addresses(settings, tuple(WORKERS))
        self._wanted = wanted
        self._on_progress = on_progress
        workers = [worker_child(self.settings, name, self.metrics.get(name)) for name in WORKERS]
        # A worker that gets stuck again and again lives for a while each time, and still is in a storm of restarts.
        policy = RestartPolicy(reset_after_s=max(RestartPolicy.reset_after_s, 3 * settings.watchdog_s))
        children = [self._kafka_with_topics(kafka), redis_child(redis), *workers]
        self._supervisor = Supervisor(settings.data_dir, children, on_change=on_change, policy=policy)
        self._written: list[Path] = []
        self._children_ready = asyncio.Event()
        self._import_stopping = threading.Event()

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Run until told to stop; `on_ready` is called once requests can be answered from the wanted catalogue.

        Raises:
            DataDirectoryInUse: another stack runs on the directory.
            StreamError, TopicError: the catalogue could not be imported, or nothing answers. Of a catalogue that cannot
                be read it is told before anything starts.
        """
        check_catalogue(self._wanted.catalogue)
        running = asyncio.create_task(self._supervisor.run(self._children_ready.set))
        getting_ready = asyncio.create_task(self._get_ready())
        try:
            await asyncio.wait({running, getting_ready}, return_when=asyncio.FIRST_COMPLETED)
            if getting_ready.done():
                getting_ready.result()
                on_ready()
            await running
        finally:
            self._import_stopping.set()
            getting_ready.cancel()
            self._supervisor.stop()
            for path in self._written:
                path.unlink(missing_ok=True)
            await running

    @property
    def failures(self) -> Mapping[str, str]:
        """Why a part last ended or failed to start, for those that did."""
        return self._supervisor.failures

    @property
    def pids(self) -> Mapping[str, int | None]:
        """The process id of each part, `None` while it is down."""
        return self._supervisor.pids

    def _kafka_with_topics(self, kafka: EmbeddedKafka) -> Child:
        """The broker, which is of use once the topics are there."""
        settings, child = self.settings, kafka_child(kafka)

        def is_ready() -> bool:
            if not kafka.is_ready():
                return False
            with suppress(BrokerUnavailable):
                create_topics(connection_of(settings), settings.topic_prefix, settings.partitions, settings.replication)
                return True
            return False

        return dataclasses.replace(child, probe=is_ready)

    async def _get_ready(self) -> None:
        await self._children_ready.wait()
        if self.metrics:
            self._write(self.settings.data_dir / FILE, encode_targets(self.metrics))
        await asyncio.to_thread(self._fill)
        await asyncio.to_thread(wait_for_an_answer, self.settings)
        for path in self._ready_files():
            self._write(path, msgspec.json.encode(self.file))

    def _write(self, path: Path, content: bytes) -> None:
        """For as long as this stack runs; another's is left alone."""
        self._written.append(path)
        write_atomically(path, content)

    def _fill(self) -> None:
        how = Options(once=True, stopping=self._import_stopping)
        catalogue = self._wanted.catalogue
        reports = import_catalogue(catalogue, self.settings, options=how, on_progress=self._on_progress)
        if reports:
            wait_until_searchable(self.settings)

    def _ready_files(self) -> list[Path]:
        own = self.settings.data_dir / "stack.json"
        return [own] if self._wanted.ready_file is None else [own, self._wanted.ready_file]


def worker_child(settings: Settings, name: str, metrics: str | None = None) -> Child:
    """A worker as the supervisor runs it: it loads what takes seconds to load while the stores start.

    Args:
        settings: the installation's.
        name: one of WORKERS.
        metrics: `host:port` at which it tells its metrics; `None` = nowhere.
    """
    ready_file = settings.data_dir.absolute() / "run" / f"{name}.ready"

    def prepare() -> None:
        ready_file.parent.mkdir(parents=True, exist_ok=True)
        ready_file.unlink(missing_ok=True)

    command = (sys.executable, "-m", "streams.cli", "worker", "--roles", WORKERS[name], "--ready-file", str(ready_file))
    return Child(
        name=f"worker-{name}",
        argv=(*command, "--wait", f"{STORES_WITHIN_S:g}"),
        log_path=settings.data_dir / "logs" / f"worker-{name}.log",
        env={
            **environment_of(settings),
            variable("metrics_port"): metrics.rpartition(":")[2] if metrics else "off",
            variable("worker_name"): name,
        },
        prepare=prepare,
        probe=ready_file.exists,
        after=("kafka", "redis"),
        waits=True,
        ready_within_s=STORES_WITHIN_S + 60.0,
        stop_within_s=20.0,
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as a child process reads them."""
    ours = {variable(name): str(getattr(settings, name)) for name in Settings.__struct_fields__}
    # The secrets have been read: a file that our own environment names must not stand in for an empty one.
    ours |= {file_variable(name): "" for name in SECRETS}
    return {**ours, variable("data_dir"): str(settings.data_dir.absolute()), "OMP_NUM_THREADS": "1"}


def wait_until_searchable(settings: Settings, within_s: float = SEARCHABLE_WITHIN_S) -> None:
    """Returns once the workers have acknowledged every track that is in the topic now.

    Raises:
        NotReady: they have not within the time.
    """
    deadline = time.monotonic() + within_s
    admin = KafkaAdminClient(**connection_of(settings).options())
    try:
        while (left := lag_of(admin, CATALOG_TRACKS, settings.topic_prefix)) > 0:
            if time.monotonic() > deadline:
                raise NotReady(f"{left} tracks still wait to be indexed; look into {settings.data_dir / 'logs'}")
            time.sleep(POLL_S)
    finally:
        admin.close()


def wait_for_an_answer(settings: Settings, within_s: float = ANSWER_WITHIN_S) -> None:
    """Returns once a request is answered.

    Raises:
        NotReady: none is within the time.
    """
    deadline = time.monotonic() + within_s
    with Client(connection_of(settings), settings.topic_prefix) as client:
        while time.monotonic() < deadline:
            request = RecommendationRequest(request_id=f"up-{os.getpid()}-{time.monotonic_ns()}", limit=1)
            try:
                if client.ask(request, timeout_s=5.0).status != "error":
                    return
            except TopicError:
                continue
    raise NotReady(f"no request was answered within {within_s:g} s; look into {settings.data_dir / 'logs'}")


def write_atomically(path: Path, content: bytes) -> None:
    """Readers see the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content + b"\n")
    part.replace(path)
