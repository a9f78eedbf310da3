"""Ends a worker that has work and does none: something outside starts it anew, which is what heals a dead client.

Consumers have been seen that live, are members of their group and read no more. So the broker is asked, by a client
of the watchdog's own, where the log ends and what is acknowledged. A worker that is slow but moves is left alone, and
so is one whose store is away for as long as delivery tries again, and everybody while Kafka itself does not answer.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from streams.embedded.threads import in_thread
from streams.errors import StreamError
from streams.observing.metrics import KAFKA_AWAY, LAG, LOOP_DELAY, STILL, tally_of
from streams.observing.offsets import OffsetReader
from streams.observing.stalls import Place, Stalls, Standing, Suspicion
from topics.connection import BrokerUnavailable

log = logging.getLogger(__name__)

LOOK_S, BEAT_S = 5.0, 1.0
# A broker that takes longer to say where the log ends counts as away.
ANSWER_S = 20.0
# After that the process is ended whatever its parts are doing.
LEAVE_WITHIN_S = 30


class WorkerStuck(StreamError):
    """There is work and no progress; the message says where and for how long."""


class Watchdog:
    """Looks at the apps of one worker from outside.

    Attributes:
        kafka_away: why Kafka could not be asked the last time; empty when it answered.
    """

    def __init__(self, apps: Sequence[Any], offsets: OffsetReader, limit_s: float, prefix: str) -> None:
        """`limit_s`: for how long there may be lag without progress; `prefix`: the installation's."""
        self.kafka_away = ""
        self._apps = apps
        self._offsets = offsets
        self._limit_s = limit_s
        self._beginning = f"{prefix.rstrip('.')}." if prefix else ""
        self._look_s = min(LOOK_S, limit_s / 4)
        self._stalls = Stalls()
        self._shown: set[Place] = set()
        # Place -> the offset before which there turned out to be no record.
        self._empty: dict[Place, int] = {}

    @property
    def still_s(self) -> float:
        """The longest time that a topic has had lag and no progress."""
        return max(self._stalls.seconds.values(), default=0.0)

    async def run(self) -> None:
        """Look for as long as the worker runs.

        Raises:
            WorkerStuck: it must not go on.
        """
        looked_s = time.monotonic()
        while True:
            await asyncio.sleep(self._look_s)
            before_s, looked_s = looked_s, time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_S):
                    # A process that was stopped for an hour and goes on has not been stuck for an hour.
                    await self._look(min(looked_s - before_s, 2 * self._look_s))
            except (BrokerUnavailable, TimeoutError) as error:
                self._away(str(error) or "Kafka does not answer in time")
            else:
                self._away("")

    async def _look(self, passed_s: float) -> None:
        standings: dict[Place, Standing] = {}
        for app in self._apps:
            standings |= await self._standings(app)
        excused = {place.topic for place in standings if tally_of(self._bare(place.topic)).retrying}
        self._stalls.see(standings, passed_s, excused)
        self._show(standings)
        suspicion = self._stalls.suspicion(self._limit_s)
        if suspicion and await self._is_true(suspicion, standings):
            self._tell_where()
            raise WorkerStuck(f"{suspicion.reason}; the worker ends, to be started anew")

    async def _standings(self, app: Any) -> dict[Place, Standing]:
        """How the app's partitions stand; of one without any, whether its group leaves it so."""
        group, assigned = app.conf.id, app.consumer.assignment()
        if not assigned:
            # With more workers than partitions, nothing to do is no standing still.
            settled = await in_thread(partial(self._offsets.is_settled, group))
            return {} if settled else {_nowhere(group): Standing(0, 1)}
        found = await in_thread(partial(self._offsets.standings, group, [Place(*place) for place in assigned]))
        return {
            place: Standing(max(standing.through, self._empty.get(place, 0)), standing.end)
            for place, standing in found.items()
        }

    async def _is_true(self, suspicion: Suspicion, standings: Mapping[Place, Standing]) -> bool:
        """Whether there is a record to be read in any of the places."""
        for place in suspicion.places:
            if place.partition < 0 or await in_thread(partial(self._offsets.has_records, place, standings[place])):
                return True
            self._empty[place] = standings[place].end
        return False

    def _bare(self, topic: str) -> str:
        return topic.removeprefix(self._beginning)

    def _away(self, reason: str) -> None:
        if reason:
            self._stalls.forget()
        if bool(reason) != bool(self.kafka_away):
            # Told once by the filter of the clients' noise, and for as long as it lasts by /readyz.
            log.debug("the watchdog cannot look: %s", reason) if reason else log.debug("the watchdog looks again")
        self.kafka_away = reason
        KAFKA_AWAY.set(bool(reason))

    def _show(self, standings: Mapping[Place, Standing]) -> None:
        standings = {place: standing for place, standing in standings.items() if place.partition >= 0}
        for gone in self._shown - standings.keys():
            LAG.remove(self._bare(gone.topic), str(gone.partition))
        self._shown = set(standings)
        for place, standing in standings.items():
            LAG.labels(self._bare(place.topic), str(place.partition)).set(standing.lag)
        STILL.clear()
        for topic, seconds in self._stalls.seconds.items():
            STILL.labels(self._bare(topic)).set(seconds)

    def _tell_where(self) -> None:
        """What everybody was doing, for whoever mends it."""
        for app in self._apps:
            log.error("agents of %s:\n%s", app.conf.id, app.agents.human_tracebacks())


def _nowhere(group: str) -> Place:
    """Stands for the share of a group that should have given this worker one, or another."""
    return Place(f"share of {group}", -1)


def end_for_certain() -> None:
    """Let the worker leave in order, and end the process with code 1 if it cannot."""
    faulthandler.dump_traceback_later(LEAVE_WITHIN_S, exit=True)


class Heart:
    """Beats for as long as the event loop turns; a thread ends the process when it no longer does.

    Attributes:
        beaten_s: when it last did, on the monotonic clock.
    """

    def __init__(self, limit_s: float) -> None:
        """`limit_s`: how long the loop may stand still."""
        self.beaten_s = time.monotonic()
        self._beats = 0
        self._limit = max(2, round(limit_s / BEAT_S))
        self._stopped = threading.Event()

    async def run(self) -> None:
        """Beat until cancelled."""
        threading.Thread(target=self._listen, name="heart", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(BEAT_S)
                now_s = time.monotonic()
                LOOP_DELAY.set(max(0.0, now_s - self.beaten_s - BEAT_S))
                self.beaten_s, self._beats = now_s, self._beats + 1
        finally:
            self._stopped.set()

    def _listen(self) -> None:
        """Counts its own turns, not the time: a process that was stopped for a while has missed none."""
        heard, missed = -1, 0
        while not self._stopped.wait(BEAT_S):
            missed = missed + 1 if self._beats == heard else 0
            heard = self._beats
            if missed >= self._limit:
                log.critical("the event loop has not turned for %d s; the worker ends, to be started anew", missed)
                faulthandler.dump_traceback()
                os._exit(1)
