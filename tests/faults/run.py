"""One run: an installation, a load, a fault, and what came of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from msgspec import Struct

from tests.faults import account, answers
from tests.faults.expected import replay
from tests.faults.faults import Fault, Scene, file_system
from tests.faults.found import read_index, read_state
from tests.faults.installation import Installation
from tests.faults.load import Asked, Load
from tests.faults.log import read_topics
from tests.faults.watch import Watch, first_progress_s, lag
from topics.specs import DEAD_LETTERS

BEFORE_S, AFTER_S = 5.0, 5.0
RECOVERED_WITHIN_S = 90.0
SOURCES = ("listening.events", "catalog.tracks", "catalog.artists", "catalog.playlists", "recommendation.requests")
PROGRESS_WITHIN_S = 15.0
SHOWN_MAX = 12
Tell = Callable[[str], None]


class Figures(Struct, frozen=True, kw_only=True):
    """What one run came to.

    Attributes:
        sent: records in the topics that are read; each is applied once, lost, or set aside.
        twice: records that counted more than once.
        set_aside: records that went to the dead letters; `set_aside_again` counts those that went there once more.
        progress_s: from the end of the fault until events, catalogue and answers all went on; `None` for never.
        zero_lag_s: from the end of the fault until nothing waited but what had just come.
        p99_ms: of the answers to requests sent before the fault, from then to zero lag, and after.
        answered_again: replies beyond the first for one request, after a redelivery.
        wrong: answers that hold what they may not, one line each.
        differences: values that are not what they must be, one line each.
    """

    fault: str
    seed: int
    on: str
    sent: int
    applied: int
    lost: int
    twice: int
    set_aside: int
    set_aside_again: int
    progress_s: float | None
    zero_lag_s: float | None
    p99_ms: tuple[float | None, float | None, float | None]
    statuses: dict[str, int]
    unanswered: int
    answered_again: int
    wrong: tuple[str, ...]
    differences: tuple[str, ...]
    difference_count: int

    def violations(self) -> list[str]:
        """Where the run broke what is promised."""
        found = []
        if self.lost or self.twice or self.difference_count:
            found.append(f"{self.lost} lost, {self.twice} twice, {self.difference_count} values differ")
        if self.sent != self.applied + self.set_aside:
            found.append(f"{self.sent} sent, {self.applied} applied and {self.set_aside} set aside")
        if self.wrong:
            found.append(f"{len(self.wrong)} things wrong in answers")
        if self.progress_s is None or self.progress_s > PROGRESS_WITHIN_S:
            found.append(f"no progress within {PROGRESS_WITHIN_S:g} s: {self.progress_s}")
        if self.zero_lag_s is None:
            found.append("never caught up")
        return found


def run(fault: Fault, seed: int, product: Path, work: Path, tell: Tell) -> Figures:
    """Run one fault once.

    Args:
        fault: what strikes.
        seed: of the load and of the moment.
        product: the checkout whose code runs.
        work: an empty directory for all that is written.
        tell: told what goes on.
    """
    with ExitStack() as opened:
        data_dir = opened.enter_context(file_system(work / "data", fault.disk_mb))
        here = Installation(data_dir, product, fault.variables)
        opened.callback(here.stop)
        tell("starting")
        here.launch()
        here.wait_ready()
        load = Load(here.kafka, seed, fault.mix)
        scene = Scene(here, load, random.Random(seed))
        began_s, ended_s, zero_s, watch = _strike(fault, scene, opened, tell)
        tell("comparing")
        topics = [spec.name for spec in DEAD_LETTERS]
        log = read_topics(here.kafka, [*SOURCES, "recommendation.replies", *topics])
        state = read_state(here.redis())
        here.stop()
        index = read_index(data_dir)
    expected = replay({name: log[name] for name in SOURCES})
    letters = account.set_aside(expected, [*scene.letters, *(one for name in topics for one in log[name])])
    judged = answers.judge(log, log["recommendation.replies"], watch.samples)
    weights = product / "models" / "weights" / "embeat_mlp_sample.safetensors"
    differences = [
        *account.listening(expected, state),
        *account.catalogue(expected, state, index, weights),
        *letters.differences,
        *account.kept(log, [(one.at, one.draft.value) for one in load.acknowledged]),
        *(account.Difference("request", name, "an answer", None, lost=1) for name in judged.unanswered),
    ]
    lost, twice = account.lost_and_twice(differences)
    sent = sum(len(log[name]) for name in SOURCES)
    return Figures(
        fault=fault.name,
        seed=seed,
        on=time.strftime("%Y-%m-%d"),
        sent=sent,
        applied=sent - len(letters.places) - lost,
        lost=lost,
        twice=twice,
        set_aside=len(letters.places),
        set_aside_again=letters.again,
        progress_s=_progress_s(watch, load.asked, ended_s),
        zero_lag_s=None if zero_s is None else round(zero_s - ended_s, 2),
        p99_ms=_p99s(load.asked, began_s, zero_s or float("inf")),
        statuses=dict(judged.statuses),
        unanswered=len(judged.unanswered),
        answered_again=judged.again,
        wrong=judged.wrong[:SHOWN_MAX],
        differences=tuple(map(str, differences[:SHOWN_MAX])),
        difference_count=len(differences),
    )


def _strike(fault: Fault, scene: Scene, opened: ExitStack, tell: Tell) -> tuple[float, float, float | None, Watch]:
    """Load, fault, recovery, rest; when the fault began and ended, and when nothing waited any more."""
    watch = Watch(scene.here.kafka)
    scene.load.fill()
    watch.start()
    opened.callback(watch.stop)
    _no_lag(watch, scene.load, time.time())
    if fault.second_worker:
        opened.enter_context(scene.here.second_listening_worker())
    scene.load.start()
    time.sleep(BEFORE_S)
    tell("striking")
    began_s = time.time()
    ended_s = fault.strike(scene)
    tell("recovering")
    zero_s = _recovered(watch, scene.load, ended_s)
    time.sleep(AFTER_S)
    scene.load.stop()
    _no_lag(watch, scene.load, time.time())
    return began_s, ended_s, zero_s, watch


def _recovered(watch: Watch, load: Load, since_s: float) -> float | None:
    """When nothing waited any more and answers came; `None` for not in time."""
    no_lag_s = _no_lag(watch, load, since_s)
    deadline = time.time() + RECOVERED_WITHIN_S
    while time.time() < deadline:
        if (answered_s := _first_good(load.asked, since_s)) is not None:
            return None if no_lag_s is None else max(no_lag_s, answered_s)
        time.sleep(0.05)
    return None


def _no_lag(watch: Watch, load: Load, since_s: float) -> float | None:
    deadline = time.time() + RECOVERED_WITHIN_S
    while time.time() < deadline:
        sample = watch.samples[-1] if watch.samples else None
        if sample and sample.when_s > since_s and lag(sample, list(load.acknowledged), since_s) == 0:
            return sample.when_s
        time.sleep(0.05)
    return None


def _progress_s(watch: Watch, asked: Mapping[str, Asked], ended_s: float) -> float | None:
    """Until the slowest of events, catalogue and answers goes on."""
    found = [first_progress_s(watch.samples, topic, ended_s) for topic in ("listening.events", "catalog.tracks")]
    answered_s = _first_good(asked, ended_s)
    found.append(None if answered_s is None else answered_s - ended_s)
    return None if None in found else round(max(one for one in found if one is not None), 2)


def _first_good(asked: Mapping[str, Asked], since_s: float) -> float | None:
    good = (one for one in list(asked.values()) if one.sent_s > since_s and one.status in answers.GOOD)
    return min((one.answered_s for one in good if one.answered_s is not None), default=None)


def _p99s(asked: Mapping[str, Asked], began_s: float, zero_s: float) -> tuple[float | None, float | None, float | None]:
    bounds = [(0.0, began_s), (began_s, zero_s), (zero_s, float("inf"))]
    phases = [[one.took_ms for one in asked.values() if low <= one.sent_s < high] for low, high in bounds]
    before, during, after = (_p99([took for took in phase if took is not None]) for phase in phases)
    return before, during, after


def _p99(values: Sequence[float]) -> float | None:
    return round(float(np.percentile(values, 99)), 1) if values else None
