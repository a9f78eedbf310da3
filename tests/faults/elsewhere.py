"""Installations whose parts run elsewhere: a Qdrant by URL, and workers by hand on a Kafka and a Redis by URL."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil

from streams.embedded.kafka import EmbeddedKafka, kafka_child
from streams.embedded.ports import accepts_connections, free_port
from streams.embedded.redis import EmbeddedRedis, redis_child, server_flags
from tests.faults.broken import ROOT
from tests.faults.found import IndexedPoint, read_collection
from tests.faults.installation import Installation, end, until
from tests.integration.secure import DEBIAN_REDIS, running
from topics.admin import create_topics


class WithQdrant(Installation):
    """`throughbeat up` whose index is a collection of a server: of its stand-in, as no server can be had by pip or apt.

    Attributes:
        server: the process of the stand-in, which keeps on disk what it has acknowledged.
    """

    server: subprocess.Popen[bytes]

    def __init__(self, data_dir: Path, product: Path, variables: Mapping[str, str]) -> None:
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        super().__init__(data_dir, product, {**variables, "THROUGHBEAT_QDRANT_URL": self._url})

    def launch(self) -> None:
        """Start without waiting for all but the server."""
        self.start_server()
        super().launch()

    def start_server(self) -> None:
        """On what it kept."""
        kept = self.data_dir / "qdrant"
        command = [sys.executable, "-m", "tests.integration.qdrant_stand_in", str(self._port), str(kept)]
        with self.data_dir.with_name("qdrant.log").open("ab") as log:
            self.server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        until(lambda: accepts_connections(self._port), 30, "the stand-in of a Qdrant server")

    def stop(self) -> None:
        """All, the server last."""
        super().stop()
        end(self.server)

    def index(self) -> dict[str, IndexedPoint]:
        """What the server holds."""
        return read_collection(self._url)


# Roles of each worker, by the number of workers: one owns the index.
SPLITS: Mapping[int, Sequence[str]] = {
    1: ("catalogue,listening,cooccurrence,recommendations",),
    2: ("catalogue,cooccurrence,recommendations", "listening"),
    4: ("catalogue,cooccurrence,recommendations", "listening", "listening", "listening"),
}


class Split(Installation):
    """Workers by hand beside a Kafka and a Redis, Debian's where it is installed; nobody starts anew what ends."""

    def __init__(self, data_dir: Path, product: Path, workers: int) -> None:
        super().__init__(data_dir, product, {})
        self._roles = SPLITS[workers]
        self._workers: list[subprocess.Popen[bytes]] = []
        self._ready: list[Path] = []
        self._stores = ExitStack()

    def launch(self) -> None:
        """Start, and wait for the stores."""
        store = redis_child(EmbeddedRedis(self.data_dir, self._ports["redis"]))
        if DEBIAN_REDIS is not None:
            store = replace(store, argv=(DEBIAN_REDIS, *server_flags(self._ports["redis"])))
        self._stores.enter_context(running(store))
        self._stores.enter_context(running(kafka_child(EmbeddedKafka(self.data_dir, self._ports["kafka"]))))
        create_topics(self.kafka, "", 0, 1)
        for number in range(len(self._roles)):
            self._start(number)

    def wait_ready(self, within_s: float = 120.0) -> None:
        """Returns once every worker has had its partitions."""
        until(lambda: all(path.exists() for path in self._ready), within_s, "all workers")

    def family(self) -> Sequence[psutil.Process]:
        """The workers."""
        return [psutil.Process(one.pid) for one in self._workers if one.poll() is None]

    def process(self, part: str) -> psutil.Process:
        """The index's owner is the first worker, whatever else it does."""
        return psutil.Process(self._workers[0].pid) if part == "index" else super().process(part)

    @property
    def index_home(self) -> Path:
        """The first worker's."""
        return self._home(0)

    def leave_and_come_back(self, rng: random.Random) -> None:
        """One of those that listen ends, in order or by SIGKILL, and is started anew."""
        number = rng.choice([at for at, roles in enumerate(self._roles) if "listening" in roles])
        leaving = self._workers[number]
        if rng.random() < 0.5:
            leaving.kill()
        end(leaving)
        self._start(number)

    def stop(self) -> None:
        """Workers, then the stores."""
        for one in self._workers:
            end(one)
        self._stores.close()

    def _start(self, number: int) -> None:
        process, ready = self.worker(self._roles[number], self._home(number))
        self._workers[number : number + 1] = [process]
        self._ready[number : number + 1] = [ready]

    def _home(self, number: int) -> Path:
        return self.data_dir / f"worker-{number}"
