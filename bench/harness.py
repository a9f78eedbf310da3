"""What every benchmark needs: a running stack, the machine it runs on, and a fair summary of what was measured."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import psutil

from streams.brought_up import StackNotReady, brought_up
from streams.connections import connection_of
from streams.logged import ends_of
from streams.observing.targets import read_targets
from streams.refreshing import learned_from
from streams.serving.collection import OPTIMISED
from streams.settings import Settings
from topics.client import Client

PROCESSES = {
    "kafka.Kafka": "kafka",
    "valkey-server": "redis",
    "--roles catalogue,": "worker-index",
    "--roles listening": "worker-listening",
    "train collaborative": "learner",
    "recall.index.optimise": "graph-builder",
    "streams.cli up": "supervisor",
}
OTHER = "other"
# Before anything of our own runs.
LOAD_BEFORE = os.getloadavg()[0]
SETTLED_S = 30.0
OUTSIDE = "throughbeat_index_tracks_outside_graph"
STAGE = re.compile(r'throughbeat_answer_stage_seconds_sum\{stage="(.*)"\}')
# Fewer values have no tails worth a figure.
TAILS_FROM = 20
DATA = Path(os.environ.get("THROUGHBEAT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Running:
    """A stack that answers."""

    settings: Settings
    process: subprocess.Popen[bytes]
    ready_s: float

    def client(self) -> Client:
        """A client of it."""
        return Client(connection_of(self.settings), self.settings.topic_prefix)

    def wait_until_optimised(self, within_s: float = 600.0) -> float:
        """Wait for the search graph of a catalogue that is large enough to have one; how long that took."""
        began = time.perf_counter()
        while OPTIMISED not in self.log("worker-index"):
            if time.perf_counter() - began > within_s:
                raise SystemExit(f"the index was not optimised within {within_s:g} s")
            time.sleep(0.2)
        return time.perf_counter() - began

    def log(self, name: str) -> str:
        """What a child of the supervisor has told."""
        return (self.settings.data_dir / "logs" / f"{name}.log").read_text(errors="replace")

    def wait_until_settled(self, within_s: float = 1_200.0) -> float:
        """Wait until nothing is being learned or built any more, for half a minute on end; how long until then."""
        began = time.perf_counter()
        settled_s = began
        while time.perf_counter() - settled_s < SETTLED_S:
            due, outside = self.metric('throughbeat_track2vec{what="lists_due"}'), self.metric(OUTSIDE)
            if due != 0 or outside is None or outside >= self.settings.optimise_above:
                settled_s = time.perf_counter()
            if time.perf_counter() - began > within_s:
                raise SystemExit(f"the stack did not come to rest within {within_s:g} s: {due=}, {outside=}")
            time.sleep(1.0)
        return settled_s - began

    def metric(self, name: str) -> float | None:
        """What the index worker says now, by name and labels as they are exported."""
        return self.metrics().get(name)

    def metrics(self) -> dict[str, float]:
        """All that it says."""
        address = read_targets(self.settings.data_dir)["index"]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def stages_ms(self) -> dict[str, float]:
        """Milliseconds that each stage of answers has taken so far, from its begin to its end."""
        told = ((STAGE.fullmatch(name), seconds) for name, seconds in self.metrics().items())
        return {found[1]: 1000 * seconds for found, seconds in told if found}

    def wait_until_learned(self, within_s: float = 600.0) -> float:
        """Wait until the collaborative tables hold all that the log does; how long that took."""
        began = time.perf_counter()
        while learned_from(self.settings) != ends_of(connection_of(self.settings), self.settings.topic_prefix):
            if time.perf_counter() - began > within_s:
                raise SystemExit(f"the collaborative tables were not learned within {within_s:g} s")
            time.sleep(1.0)
        return time.perf_counter() - began

    def resident_mb(self) -> dict[str, float]:
        """Resident memory of each process of the stack, in MB."""
        return self._of_each(lambda one: round(one.memory_info().rss / 1e6, 1))

    def private_mb(self) -> dict[str, float]:
        """The same without pages of files, which the system takes back when it needs room."""
        return self._of_each(lambda one: round((one.memory_info().rss - one.memory_info().shared) / 1e6, 1))

    def cpu_s(self) -> dict[str, float]:
        """Processor time that each process of the stack has taken so far."""
        return self._of_each(lambda one: one.cpu_times().user + one.cpu_times().system)

    def _of_each(self, look: Callable[[psutil.Process], float]) -> dict[str, float]:
        """By process of the stack; one that ends meanwhile is left out."""
        supervisor = psutil.Process(self.process.pid)
        found = {}
        for one in (supervisor, *supervisor.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found[_name_of(one)] = look(one)
        return found


def _name_of(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    return next((name for sign, name in PROCESSES.items() if sign in line), OTHER)


@contextmanager
def running(data_dir: Path, catalogue: str = "none", within_s: float = 600.0) -> Iterator[Running]:
    """Run `throughbeat up` until the block ends."""
    began = time.perf_counter()
    with ExitStack() as opened:
        try:
            settings, process = opened.enter_context(brought_up(data_dir, catalogue, within_s=within_s))
        except StackNotReady as error:
            raise SystemExit(str(error)) from error
        yield Running(settings, process, time.perf_counter() - began)


@contextmanager
def scratch() -> Iterator[Path]:
    """A data directory that goes with the block; the one in THROUGHBEAT_BENCH_DIR stays, with what is imported."""
    if kept := os.environ.get("THROUGHBEAT_BENCH_DIR"):
        yield Path(kept)
        return
    path = Path(tempfile.mkdtemp(prefix="throughbeat-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def summary(values: Sequence[float], digits: int = 2) -> dict[str, float | int]:
    """Median and extremes of what was measured, and the tails of many values."""
    tails = {"p90": 90, "p99": 99} if len(values) >= TAILS_FROM else {}
    places = {"min": 0, "p50": 50, **tails, "max": 100}
    return {"n": len(values), **{name: round(float(np.percentile(values, at)), digits) for name, at in places.items()}}


def machine() -> dict[str, object]:
    """What it ran on."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "load_before": round(LOAD_BEFORE, 2),
    }


def report(name: str, figures: dict[str, object]) -> None:
    """Print one JSON object."""
    print(msgspec.json.format(msgspec.json.encode({"benchmark": name, "machine": machine(), **figures})).decode())


def arguments(description: str, **defaults: int) -> argparse.Namespace:
    """Options of a benchmark: each an integer with a default."""
    parser = argparse.ArgumentParser(description=description)
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    return parser.parse_args()
