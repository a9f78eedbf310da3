"""The faults: what each does to a running installation, and when it is over."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from tests.faults.content import Mix
from tests.faults.elsewhere import SPLITS, Split, WithQdrant
from tests.faults.installation import Installation, until
from tests.faults.load import Load
from tests.faults.log import read_topics

# Longer than a worker may be silent before Kafka gives its partitions away.
PAST_SESSION_S = 14.0
BURST_EVENTS, BURST_CHANGES, BURST_REQUESTS = 600, 250, 100
FLOOD_EVENTS = 15_000


@dataclass(frozen=True)
class Scene:
    """What a fault strikes.

    Attributes:
        rng: decides the moment.
        letters: dead letters whose topic the fault itself deletes.
    """

    here: Installation
    load: Load
    rng: random.Random
    letters: list[Any] = field(default_factory=list)


# Returns when the fault is over, in seconds of the clock: what follows is the system's own affair.
Strike = Callable[[Scene], float]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        title: what happens, in a few words.
        seeds: how many runs a campaign does.
        quick: whether a short look at all is to include it.
        setting: what it happens to.
        mix: what the load is made of.
        second_worker: whether a second listening worker runs from the start.
    """

    name: str
    title: str
    strike: Strike
    seeds: int = 3
    quick: bool = False
    setting: Setting = field(default_factory=lambda: Setting())
    mix: Mix = field(default_factory=Mix)
    second_worker: bool = False


@dataclass(frozen=True)
class Setting:
    """How an installation is made; runs of the same setting may follow each other on the same one.

    Attributes:
        variables: the product's settings.
        disk_mb: size of a file system of its own for the data directory; 0 for none.
        qdrant: whether the index is on a server.
        workers: so many worker processes by hand, on a Kafka and a Redis by URL; 0 for `throughbeat up`.
    """

    variables: tuple[tuple[str, str], ...] = ()
    disk_mb: int = 0
    qdrant: bool = False
    workers: int = 0

    def installation(self, data_dir: Path, product: Path) -> Installation:
        """One, not started."""
        if self.workers:
            return Split(data_dir, product, self.workers)
        return (WithQdrant if self.qdrant else Installation)(data_dir, product, dict(self.variables))


@dataclass(frozen=True)
class Batch:
    """How a role is given much to do at once, and what it asks of Redis in the middle of it."""

    part: str
    commands: Sequence[tuple[str, str]]
    events: int = 0
    changes: int = 0
    requests: int = 0
    playlists: int = 0


BATCHES = {
    "catalogue": Batch(
        "index", [("HMGET", "artists"), ("EVALSHA", "artists"), ("EVALSHA", "playlists")], changes=BURST_CHANGES
    ),
    "listening": Batch("listening", [("EVALSHA", "person:{"), ("EVALSHA", "popularity:{")], events=BURST_EVENTS),
    "cooccurrence": Batch("index", [("EVALSHA", "playlists")], playlists=BURST_CHANGES),
    "recommendations": Batch("index", [("HGETALL", "person:{"), ("LRANGE", "person:{")], requests=BURST_REQUESTS),
}


def kill_in_a_batch(role: str) -> Strike:
    """SIGKILL while a burst is worked on: at a command of the worker's to Redis, or a little after it."""
    batch = BATCHES[role]

    def strike(scene: Scene) -> float:
        process = scene.here.process(batch.part)
        wanted = scene.rng.choice(batch.commands)
        with scene.here.redis() as server, server.monitor() as monitor:
            scene.load.burst(batch.events, batch.changes, batch.requests, batch.playlists)
            _wait_for(monitor, wanted, scene.rng.randrange(1, 12))
        if scene.rng.random() < 0.5:
            time.sleep(scene.rng.uniform(0, 0.02))
        process.kill()
        return time.time()

    return strike


def _wait_for(monitor: Any, wanted: tuple[str, str], times: int) -> None:
    """Read what Redis is told until such a command has come so often, or none comes any more."""
    with suppress(OSError, TimeoutError):
        while times:
            command = monitor.next_command()["command"]
            times -= command.startswith(wanted[0]) and wanted[1] in command


def freeze(part: str, seconds: float) -> Strike:
    """SIGSTOP, and SIGCONT after so long."""

    def strike(scene: Scene) -> float:
        process = scene.here.process(part)
        scene.load.burst(BURST_EVENTS // 2, 50)
        process.suspend()
        time.sleep(seconds)
        process.resume()
        return time.time()

    return strike


def kill(part: str) -> Strike:
    """SIGKILL at any time; the supervisor starts it anew."""

    def strike(scene: Scene) -> float:
        scene.load.burst(BURST_EVENTS // 2, 50)
        time.sleep(scene.rng.uniform(0, 0.3))
        scene.here.process(part).kill()
        return time.time()

    return strike


def restart_workers(scene: Scene) -> float:
    """SIGTERM to both workers; the supervisor starts them anew."""
    workers = [scene.here.process(part) for part in ("index", "listening")]
    scene.load.burst(BURST_EVENTS // 2, 50)
    for worker in workers:
        worker.terminate()
    psutil.wait_procs(workers, 30)
    return time.time()


def restart_all(scene: Scene) -> float:
    """SIGTERM to the supervisor, and a new start once all is gone."""
    scene.here.stop()
    scene.here.launch()
    return time.time()


def kill_supervisor(scene: Scene) -> float:
    """SIGKILL to the supervisor, which takes everything with it, and a new start."""
    scene.load.burst(BURST_EVENTS // 2, 50)
    time.sleep(scene.rng.uniform(0, 0.3))
    scene.here.kill()
    scene.here.launch()
    return time.time()


def second_worker_comes_and_goes(scene: Scene) -> float:
    """A second listening worker takes half of the partitions, and gives them back while a burst is applied."""
    with scene.here.second_listening_worker():
        time.sleep(scene.rng.uniform(2, 4))
        scene.load.burst(BURST_EVENTS // 2, 0)
    return time.time()


def with_mix(**more: float) -> Strike:
    """Nothing dies: for eight seconds the load is what it should not be."""

    def strike(scene: Scene) -> float:
        usual = scene.load.mix
        scene.load.mix = replace(usual, **more)  # type: ignore[arg-type]
        scene.load.burst(BURST_EVENTS, BURST_CHANGES)
        time.sleep(8)
        scene.load.mix = usual
        return time.time()

    return strike


def flood(scene: Scene) -> float:
    """Nothing dies: events come all at once, a hundred times as many as are usual in the time."""
    scene.load.burst(FLOOD_EVENTS)
    return time.time()


def kill_while_optimising(moment: str) -> Strike:
    """SIGKILL to the owner of the index while its copy is made, its graph is built, or the new one takes its place."""

    def strike(scene: Scene) -> float:
        process = scene.here.process("index")
        (home,) = scene.here.index_directory.glob("tracks-*")
        # The graph is built once many tracks have changed and no more do; some more change while it is.
        scene.load.catalogue_rests = True
        scene.load.burst(0, BURST_CHANGES)
        before = {path.name for path in home.glob("shard-*")}
        until(lambda: {path.name for path in home.glob("shard-*")} - before, 90, "a copy of the index", every_s=0.001)
        scene.load.catalogue_rests = False
        if moment != "copy":
            scene.load.burst(0, BURST_CHANGES // 5)
            until(lambda: _optimiser(process), 30, "a process that builds the graph", every_s=0.002)
        if moment == "build":
            time.sleep(scene.rng.uniform(0, 1.5))
        if moment == "swap":
            builder = _optimiser(process)
            until(lambda: not (builder and builder.is_running()), 60, "the end of the build", every_s=0.0005)
            time.sleep(scene.rng.uniform(0, 0.04))
        process.kill()
        return time.time()

    return strike


def _optimiser(owner: psutil.Process) -> psutil.Process | None:
    with suppress(psutil.Error):
        return next((one for one in owner.children() if "recall.index.optimise" in " ".join(one.cmdline())), None)
    return None


def kill_while_flushing(scene: Scene) -> float:
    """SIGKILL to the owner of the index while it forces its files to the disk, at one of the first of them."""
    process = scene.here.process("index")
    scene.load.burst(0, BURST_CHANGES)
    for _ in range(scene.rng.randrange(1, 4)):
        until(lambda: _forces_to_disk(process), 60, "a flush", every_s=0.0002)
    process.kill()
    return time.time()


# msync, fsync, fdatasync of Linux on x86-64.
FORCING = {"26", "74", "75"}


def _forces_to_disk(process: psutil.Process) -> bool:
    """Whether one of its threads is in such a call now; the kernel tells that to root."""
    calls = []
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        with suppress(OSError):
            calls.append((thread / "syscall").read_text().partition(" ")[0])
    return bool(FORCING.intersection(calls))


def kill_qdrant(scene: Scene) -> float:
    """SIGKILL to the Qdrant server while a burst is written to it; started again two seconds later."""
    here = _with_qdrant(scene)
    scene.load.burst(0, BURST_CHANGES)
    time.sleep(scene.rng.uniform(0.1, 0.6))
    here.server.kill()
    here.server.wait()
    time.sleep(2)
    here.start_server()
    return time.time()


def slow_qdrant(scene: Scene) -> float:
    """For eight seconds the Qdrant server runs for a twentieth of a second, and stands still for four tenths."""
    server = psutil.Process(_with_qdrant(scene).server.pid)
    scene.load.burst(0, BURST_CHANGES // 5)
    for _ in range(18):
        server.suspend()
        time.sleep(0.4)
        server.resume()
        time.sleep(0.05)
    return time.time()


def _with_qdrant(scene: Scene) -> WithQdrant:
    if not isinstance(scene.here, WithQdrant):
        raise TypeError(f"expected an installation with a Qdrant server, got {scene.here}")
    return scene.here


def workers_come_and_go(scene: Scene) -> float:
    """One more listening worker joins; another one ends, half of the times by SIGKILL, and is started anew."""
    if not isinstance(scene.here, Split):
        raise TypeError(f"expected workers by hand, got {scene.here}")
    with scene.here.second_listening_worker():
        scene.load.burst(BURST_EVENTS // 2, 50)
        scene.here.leave_and_come_back(scene.rng)
        scene.load.burst(BURST_EVENTS // 2, 50)
    return time.time()


def dead_letters_away(scene: Scene) -> float:
    """The topic of dead letters is deleted, poison comes, and after eight seconds the topic is made again."""
    usual, topic = scene.load.mix, "listening.events.dead"
    scene.load.mix = replace(usual, poison=0.0)
    time.sleep(3)  # what was poison before is set aside by now, and is read before it is deleted
    scene.letters.extend(read_topics(scene.here.kafka, [topic])[topic])
    admin = KafkaAdminClient(**scene.here.kafka.options())
    try:
        admin.delete_topics([topic])
        scene.load.mix = replace(usual, poison=0.1)
        time.sleep(8)
        with suppress(TopicAlreadyExistsError):  # a worker that was started anew made it
            admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "2000000"})])
    finally:
        admin.close()
        scene.load.mix = usual
    return time.time()


def disk_full(scene: Scene) -> float:
    """The file system of the data directory is full for six seconds."""
    filler = scene.here.data_dir / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    _fill_the_rest(scene.here.data_dir)
    time.sleep(6)
    filler.unlink()
    (scene.here.data_dir / "filler-rest").unlink(missing_ok=True)
    return time.time()


def _fill_the_rest(directory: Path) -> None:
    with (directory / "filler-rest").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))


def nothing(scene: Scene) -> float:
    """No fault: what the figures are otherwise."""
    scene.load.burst(BURST_EVENTS, BURST_CHANGES)
    time.sleep(5)
    return time.time()


OPTIMISES = Setting((("THROUGHBEAT_OPTIMISE_ABOVE", "100"),))
ROLES_SEEDS = 20

FAULTS = (
    Fault("none", "nothing happens, but a burst", nothing, seeds=2, quick=True),
    *(
        Fault(
            f"kill-{role}",
            f"SIGKILL of the worker with the role {role} in a batch",
            kill_in_a_batch(role),
            seeds=ROLES_SEEDS,
            quick=True,
        )
        for role in BATCHES
    ),
    Fault(
        "zombie-listening",
        "listening worker stopped past its session, resumed after another took over",
        freeze("listening", PAST_SESSION_S),
        quick=True,
        second_worker=True,
    ),
    Fault("freeze-index", "index worker stopped past its session, then resumed", freeze("index", PAST_SESSION_S)),
    Fault("restart-workers", "both workers told to stop, started anew", restart_workers),
    Fault("restart-all", "everything told to stop, started anew", restart_all),
    Fault("second-worker", "a second listening worker joins and leaves", second_worker_comes_and_goes),
    Fault("kill-kafka", "SIGKILL of the broker", kill("kafka"), quick=True),
    Fault("kill-redis", "SIGKILL of Redis", kill("redis"), quick=True),
    Fault("pause-redis", "Redis stopped for 5 s", freeze("redis", 5.0)),
    Fault("kill-supervisor", "SIGKILL of the supervisor, started again", kill_supervisor, quick=True),
    Fault("kill-flush", "owner of the index killed in a flush", kill_while_flushing),
    Fault("duplicates", "every second event sent twice", with_mix(duplicates=0.5), seeds=2),
    Fault("disorder", "half of the clocks an hour ahead or behind", with_mix(skewed=0.5), seeds=2),
    Fault("poison", "a third of the records can never be applied", with_mix(poison=0.33), seeds=2),
    Fault("dead-letters-away", "topic of dead letters deleted, made again", dead_letters_away),
    Fault("flood", f"{FLOOD_EVENTS:,} events at once", flood, seeds=2),
    *(
        Fault(
            f"kill-{moment}",
            f"owner of the index killed {when}",
            kill_while_optimising(moment),
            setting=OPTIMISES,
            mix=Mix(grows=False),
        )
        for moment, when in (
            ("copy", "while the index is copied"),
            ("build", "while the graph is built"),
            ("swap", "while the new index takes its place"),
        )
    ),
    Fault("disk-full", "data directory full for 6 s", disk_full, setting=Setting(disk_mb=200)),
    Fault(
        "kill-qdrant", "index on a Qdrant server (stand-in), killed for 2 s", kill_qdrant, setting=Setting(qdrant=True)
    ),
    Fault("slow-qdrant", "the same server nine times as slow for 8 s", slow_qdrant, setting=Setting(qdrant=True)),
    *(
        Fault(
            f"workers-{count}",
            f"{count} worker process(es) on Kafka and Redis by URL: one more joins and leaves, one is started anew",
            workers_come_and_go,
            setting=Setting(workers=count),
        )
        for count in SPLITS
    ),
)
NAMED = {fault.name: fault for fault in FAULTS}


@contextmanager
def file_system(directory: Path, size_mb: int) -> Iterator[Path]:
    """The directory, on a file system of its own where a size is given; that takes the rights of root."""
    directory.mkdir(parents=True, exist_ok=True)
    if not size_mb:
        yield directory
        return
    if os.system(f"mount -t tmpfs -o size={size_mb}m throughbeat {directory}") != 0:
        raise PermissionError(f"cannot mount a file system of {size_mb} MB on {directory}: run as root")
    try:
        yield directory
    finally:
        os.system(f"umount {directory}")
