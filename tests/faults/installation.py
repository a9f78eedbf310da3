"""The system under test: `throughbeat up` as a person runs it, found and struck by process id."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streams.embedded.ports import free_port
from tests.faults.found import IndexedPoint, read_index
from tests.faults.learned import Learned, read_learned
from topics.connection import Connection

# How a part is told by its command line.
PARTS = {
    "kafka": "kafka.Kafka",
    "redis": "valkey-server",
    "index": "--roles catalogue,",
    "listening": "--roles listening",
}


def until(true: Callable[[], object], within_s: float, what: str, every_s: float = 0.02) -> None:
    """Poll until it holds. Raises TimeoutError."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within_s:g} s")
        time.sleep(every_s)


class Installation:
    """One `throughbeat up` on a data directory and on ports of its own.

    Attributes:
        data_dir: where all of it is, but for what its parts say, which goes to files beside it.
    """

    def __init__(self, data_dir: Path, product: Path, variables: Mapping[str, str]) -> None:
        """`product`: the checkout whose code runs; `variables`: settings."""
        self.data_dir = data_dir
        self.environment = {**os.environ, "PYTHONPATH": str(product), **variables}
        self._product = product
        self._ports = {"kafka": free_port(), "redis": free_port()}
        self._ready_file = data_dir.with_name(f"{data_dir.name}-ready.json")
        self._log = data_dir.with_name(f"{data_dir.name}-up.log")
        self._up: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start without waiting."""
        command = ["up", "--data-dir", str(self.data_dir), "--ready-file", str(self._ready_file)]
        self._ready_file.unlink(missing_ok=True)
        ports = [word for name, port in self._ports.items() for word in (f"--{name}-port", str(port))]
        self._up = self.started([*command, *ports], self._log)

    def wait_ready(self, within_s: float = 120.0) -> None:
        """Returns once requests are answered."""
        until(lambda: self._ready_file.exists() or self._ended(), within_s, "throughbeat up")
        if self._ended():
            raise RuntimeError(f"throughbeat up ended:\n{self._log.read_text()[-3000:]}")
        json.loads(self._ready_file.read_text())

    def stop(self) -> None:
        """End it as Ctrl-C does, and wait until all is gone."""
        if self._up is not None:
            self._up.send_signal(signal.SIGTERM)
            try:
                self._up.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL the supervisor; the kernel then ends its children."""
        if self._up is not None:
            self._up.kill()
            self._up.wait()

    def process(self, part: str) -> psutil.Process:
        """The process that a part is now; waits for one that is being started."""
        found: list[psutil.Process] = []

        def there() -> bool:
            found[:] = [one for one in self.family() if PARTS[part] in _command_line(one)]
            return bool(found)

        until(there, 60, f"a process of {part}")
        return found[0]

    def family(self) -> Sequence[psutil.Process]:
        """Every process of it."""
        return psutil.Process(self._up.pid).children(recursive=True) if self._up is not None else []

    @property
    def index_home(self) -> Path:
        """The data directory of the worker that owns the index."""
        return self.data_dir

    @property
    def index_directory(self) -> Path:
        """Where Qdrant Edge keeps the tracks."""
        return self.index_home / "index"

    def index(self) -> dict[str, IndexedPoint]:
        """What the index holds now."""
        with self._copied(self.index_directory) as copy:
            return read_index(copy)

    def learned(self) -> Learned:
        """What the learner of playlists has counted."""
        with self._copied(self.index_home / "cooccurrence") as copy:
            return read_learned(copy)

    @contextmanager
    def _copied(self, directory: Path) -> Iterator[Path]:
        """Files of the index's owner as a SIGKILL at this moment would leave them."""
        with tempfile.TemporaryDirectory(dir=self.data_dir.parent) as copy:
            owner = self.process("index")
            owner.suspend()
            try:
                shutil.copytree(directory, copy, dirs_exist_ok=True)
            finally:
                owner.resume()
            yield Path(copy)

    @contextmanager
    def second_listening_worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker beside the others, with its share of the partitions, until the block ends."""
        data_dir = self.data_dir.with_name(f"{self.data_dir.name}-second")
        process, ready = self.worker("listening", data_dir)
        try:
            until(lambda: ready.exists() or process.poll() is not None, 60, "a second worker")
            yield process
        finally:
            end(process)

    def worker(self, roles: str, data_dir: Path) -> tuple[subprocess.Popen[bytes], Path]:
        """A worker of these roles, and the file that says that it has its partitions."""
        ready = data_dir.with_name(f"{data_dir.name}.ready")
        data_dir.mkdir(parents=True, exist_ok=True)
        ready.unlink(missing_ok=True)
        command = ["worker", "--roles", roles, "--data-dir", str(data_dir), "--ready-file", str(ready)]
        addresses = {"THROUGHBEAT_REDIS_URL": f"redis://127.0.0.1:{self._ports['redis']}/0"}
        log = data_dir.with_name(f"{data_dir.name}.log")
        return self.started([*command, "--kafka", self.kafka.bootstrap_servers], log, **addresses), ready

    def started(self, command: Sequence[str], log: Path, **more: str) -> subprocess.Popen[bytes]:
        """A command of ours as a process."""
        with log.open("ab") as output:
            whole = [sys.executable, "-m", "streams.cli", *command]
            environment = {**self.environment, **more}
            return subprocess.Popen(whole, env=environment, cwd=self._product, stdout=output, stderr=output)

    def _ended(self) -> bool:
        return self._up is None or self._up.poll() is not None

    @property
    def kafka(self) -> Connection:
        """How to reach Kafka."""
        return Connection(f"127.0.0.1:{self._ports['kafka']}")

    def redis(self) -> redis.Redis:
        """A client that never waits long, and never tries twice."""
        return redis.Redis(port=self._ports["redis"], socket_timeout=2, retry=Retry(NoBackoff(), 0))


def end(process: subprocess.Popen[bytes], within_s: float = 20) -> None:
    """SIGTERM, and SIGKILL to what does not obey."""
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
