"""Runs on one installation: a load, a fault, and what came of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from tests.faults import account, answers, learned
from tests.faults.expected import replay
from tests.faults.faults import Fault, Scene, Setting, file_system
from tests.faults.found import read_state
from tests.faults.installation import Installation
from tests.faults.load import Asked, Load
from tests.faults.log import read_topics
from tests.faults.watch import Watch, first_progress_s, lag
from topics.specs import DEAD_LETTERS

# The first second of a load is not measured: its client has only just connected.
WARM_S, BEFORE_S, AFTER_S = 1.0, 3.0, 3.0
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
        took_s: the whole run.
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
    took_s: float = 0.0

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


@contextmanager
def sitting(setting: Setting, product: Path, work: Path) -> Iterator[Sitting]:
    """An installation for some runs.

    Args:
        setting: how it is made.
        product: the checkout whose code runs.
        work: an empty directory for all that is written.
    """
    with file_system(work / "data", setting.disk_mb) as data_dir:
        here = setting.installation(data_dir, product)
        try:
            here.launch()
            here.wait_ready()
            yield Sitting(here, product)
        finally:
            here.stop()


@dataclass(frozen=True)
class _Course:
    """How a run went: when the fault began and ended, when nothing waited any more, and who saw it."""

    load: Load
    watch: Watch
    since_s: float
    began_s: float
    ended_s: float
    zero_s: float | None


class Sitting:
    """Runs that follow each other on one installation, which is compared as a whole after each.

    Attributes:
        runs: how many there were.
    """

    def __init__(self, here: Installation, product: Path) -> None:
        self.runs = 0
        self._here = here
        self._weights = product / "models" / "weights" / "embeat_mlp_2026.safetensors"
        # Dead letters whose topic a fault deleted.
        self._letters: list[Any] = []
        # Where the records of the next run begin.
        self._begins: dict[tuple[str, int], int] = {}

    def run(self, fault: Fault, seed: int, tell: Tell) -> Figures:
        """Run one fault once. `tell` is told what goes on."""
        began_s = time.monotonic()
        self.runs += 1
        course = self._strike(fault, seed, tell)
        tell("comparing")
        return self._compare(fault, seed, course, began_s)

    def _strike(self, fault: Fault, seed: int, tell: Tell) -> _Course:
        """Load, fault, recovery, rest."""
        load = Load(self._here.kafka, seed, fault.mix, f"{self.runs}-")
        scene = Scene(self._here, load, random.Random(seed), self._letters)
        watch = Watch(self._here.kafka)
        with ExitStack() as opened:
            if self.runs == 1:
                load.fill()
            watch.start()
            opened.callback(watch.stop)
            _no_lag(watch, load, time.time())
            if fault.second_worker:
                opened.enter_context(self._here.second_listening_worker())
            load.start()
            since_s = time.time() + WARM_S
            time.sleep(WARM_S + BEFORE_S)
            tell("striking")
            began_s = time.time()
            ended_s = fault.strike(scene)
            tell("recovering")
            zero_s = _recovered(watch, load, ended_s)
            time.sleep(AFTER_S)
            load.stop()
            _no_lag(watch, load, time.time())
        return _Course(load, watch, since_s, began_s, ended_s, zero_s)

    def _compare(self, fault: Fault, seed: int, course: _Course, began_s: float) -> Figures:
        """All that the installation holds with all that it was ever told; counts are of this run."""
        topics = [spec.name for spec in DEAD_LETTERS]
        log = read_topics(self._here.kafka, [*SOURCES, "recommendation.replies", *topics])
        expected = replay({name: log[name] for name in SOURCES})
        letters = account.set_aside(expected, [*self._letters, *(one for name in topics for one in log[name])])
        asked, replies = (self._new(log[name]) for name in ("recommendation.requests", "recommendation.replies"))
        judged = answers.judge(log, asked, replies, course.watch.samples)
        state = read_state(self._here.redis())
        differences = [
            *account.listening(expected, state),
            *account.catalogue(expected, state, self._here.index(), self._weights),
            *learned.differences(learned.must_be_learned(log["catalog.playlists"]), self._here.learned()),
            *letters.differences,
            *account.kept(log, [(one.at, one.draft.value) for one in course.load.acknowledged]),
            *(account.Difference("request", name, "an answer", None, lost=1) for name in judged.unanswered),
        ]
        lost, twice = account.lost_and_twice(differences)
        sent = sum(len(self._new(log[name])) for name in SOURCES)
        places = [place for place in letters.places if self._is_new(*place)]
        set_aside = len(set(places))
        self._begins = {(one.topic, one.partition): one.offset + 1 for records in log.values() for one in records}
        zero_s, ended_s, load = course.zero_s, course.ended_s, course.load
        return Figures(
            fault=fault.name,
            seed=seed,
            on=time.strftime("%Y-%m-%d"),
            sent=sent,
            applied=sent - set_aside - lost,
            lost=lost,
            twice=twice,
            set_aside=set_aside,
            set_aside_again=len(places) - set_aside,
            progress_s=_progress_s(course.watch, load.asked, ended_s),
            zero_lag_s=None if zero_s is None else round(zero_s - ended_s, 2),
            p99_ms=_p99s(load.asked, (course.since_s, course.began_s, zero_s or float("inf"), float("inf"))),
            statuses=dict(judged.statuses),
            unanswered=len(judged.unanswered),
            answered_again=judged.again,
            wrong=judged.wrong[:SHOWN_MAX],
            differences=tuple(map(str, differences[:SHOWN_MAX])),
            difference_count=len(differences),
            took_s=round(time.monotonic() - began_s, 1),
        )

    def _new(self, records: Sequence[Any]) -> list[Any]:
        return [one for one in records if self._is_new(one.topic, one.partition, one.offset)]

    def _is_new(self, topic: str, partition: int, offset: int) -> bool:
        return offset >= self._begins.get((topic, partition), 0)


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


def _p99s(
    asked: Mapping[str, Asked], bounds: tuple[float, float, float, float]
) -> tuple[float | None, float | None, float | None]:
    """Of the requests sent between each bound and the next."""
    spans = pairwise(bounds)
    phases = [[one.took_ms for one in asked.values() if low <= one.sent_s < high] for low, high in spans]
    before, during, after = (_p99([took for took in phase if took is not None]) for phase in phases)
    return before, during, after


def _p99(values: Sequence[float]) -> float | None:
    return round(float(np.percentile(values, 99)), 1) if values else None
