"""The week's list of everybody who listens: asked for over Kafka, as any program would, and kept in a topic.

Requests are spread over the workers by their key, the person. What a person's newest record in `playlists.weekly` says
is all that is needed to go on: which week it is of, and what the lists of the weeks before held.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka.partitioner import murmur2

from streams.logged import read_records
from streams.pace import Pace
from streams.weeks import WEEKS_KEPT, lists_in
from topics.codec import decode
from topics.connection import Connection
from topics.errors import RecordRefused, RequestTimedOut
from topics.records import EarlierWeek, Filters, RecommendationReply, RecommendationRequest, WeeklyPlaylist
from topics.specs import PLAYLISTS_WEEKLY, TopicSpec

TRACKS = 30
DEADLINE_MS = 10_000
ON_THE_WAY_S = 5.0
# An answer that could not be given is asked for again, after a pause that doubles up to a bound.
TRIES = 6
PAUSE_S, PAUSE_MAX_S = 0.25, 4.0
AGAIN = frozenset({"deadline_exceeded", "internal"})
# Whoever is turned away is asked for again more often: others are in front, and the list can wait.
OVERLOADED, TURNED_AWAY_MAX = "overloaded", 100


class Asks(Protocol):
    """Asks for recommendations and publishes; `topics.client.Client` does."""

    def ask(self, request: RecommendationRequest, timeout_s: float) -> RecommendationReply:
        """The answer."""

    def publish(self, topic: TopicSpec | str, record: WeeklyPlaylist) -> Any:
        """Returns once the broker holds it."""


@dataclass
class Outcome:
    """What became of the persons.

    Attributes:
        made: lists made now.
        kept: persons whose list of the week was there.
        empty: persons for whom nothing was left to recommend; they have no list.
        failed: code of the error, or name of the exception -> persons.
        partial: lists made while some channel was left out.
    """

    made: int = 0
    kept: int = 0
    empty: int = 0
    partial: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        """Persons so far."""
        return self.made + self.kept + self.empty + self.failed.total()


@dataclass(frozen=True)
class Share:
    """What one of several runs at a time does: some of the topic's partitions, and the persons whose lists are there.

    A run reads and remembers nothing of the others'.

    Attributes:
        number: from 1.
        shares: of them.
        partitions: of `playlists.weekly`.
    """

    number: int
    shares: int
    partitions: int

    def has(self, partition: int) -> bool:
        """Whether a partition is its own."""
        return partition % self.shares == self.number - 1

    def persons(self, user_ids: Sequence[str]) -> list[str]:
        """Those of its partitions."""
        return [one for one in user_ids if self.has(self.partition_of(one))]

    def partition_of(self, user_id: str) -> int:
        """Where Kafka's clients put what is keyed by a person."""
        return int(murmur2(user_id.encode()) & 0x7FFFFFFF) % self.partitions


def lists_so_far(connection: Connection, prefix: str, share: Share | None = None) -> dict[str, WeeklyPlaylist]:
    """The newest list of each person of a share.

    Raises:
        BrokerUnavailable: Kafka does not answer.
    """
    found: dict[str, WeeklyPlaylist] = {}
    for record in read_records(connection, prefix, PLAYLISTS_WEEKLY, share.has if share else lambda partition: True):
        if record.key is None:
            continue
        user_id = record.key.decode(errors="replace")
        if record.value is None:
            found.pop(user_id, None)
            continue
        try:
            found[user_id] = decode(record.value, WeeklyPlaylist)
        except RecordRefused:
            continue
    return found


def make_lists(
    client: Asks,
    week: str,
    user_ids: Sequence[str],
    before: Mapping[str, WeeklyPlaylist],
    *,
    at_once: int,
    again: bool = False,
    on_seen: Callable[[Outcome], None] = lambda outcome: None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Make the week's list of each person who has none, and publish it.

    Interrupted at any moment, another run goes on with those who have none yet.

    Args:
        client: asks and publishes.
        week: as `week_of` names it.
        user_ids: each once.
        before: the newest list of each person.
        at_once: requests under way, at most: fewer where those who answer have others to answer.
        again: make the lists anew that are there already.
        on_seen: told after each person, from one thread at a time.
        stop: set from elsewhere, it ends the run after the persons under way.

    Raises:
        BrokerUnavailable, PublishFailed: Kafka takes no requests or lists any more.
    """
    outcome, lock, persons, pace = Outcome(), threading.Lock(), iter(user_ids), Pace(at_once)
    stop = stop or threading.Event()

    def following() -> Iterator[str]:
        while not stop.is_set():
            with lock:
                user_id = next(persons, None)
            if user_id is None:
                return
            yield user_id

    def work() -> None:
        for user_id in following():
            last = before.get(user_id)
            try:
                said = "kept" if _is_there(last, week) and not again else _made(client, week, user_id, last, pace, stop)
            except BaseException:
                stop.set()
                raise
            with lock:
                _count(outcome, said)
                on_seen(outcome)

    with ThreadPoolExecutor(at_once, thread_name_prefix="weekly") as pool:
        workers = [pool.submit(work) for _ in range(at_once)]
        try:
            for worker in workers:
                worker.result()
        except BaseException:
            stop.set()
            raise
    return outcome


def _is_there(last: WeeklyPlaylist | None, week: str) -> bool:
    return last is not None and last.week >= week


def _count(outcome: Outcome, said: str) -> None:
    if said in ("made", "partial"):
        outcome.made += 1
        outcome.partial += said == "partial"
    elif said in ("kept", "empty"):
        setattr(outcome, said, getattr(outcome, said) + 1)
    else:
        outcome.failed[said] += 1


def _made(client: Asks, week: str, user_id: str, last: WeeklyPlaylist | None, pace: Pace, stop: threading.Event) -> str:
    """Ask until there is an answer; what became of it."""
    earlier = earlier_of(last, week)
    request = request_for(user_id, week, earlier)
    pause_s, said, failures, refusals = PAUSE_S, "", 0, 0
    while True:
        with pace.turn():
            said, reply = _asked(client, request)
        if said in (OVERLOADED, "deadline_exceeded"):
            pace.refused()
        elif reply is not None:
            pace.answered()
        if reply is not None and reply.items:
            made_at_ms = int(time.time() * 1000)
            record = WeeklyPlaylist(
                user_id=user_id,
                week=week,
                made_at_ms=made_at_ms,
                request_id=request.request_id,
                items=reply.items,
                earlier=earlier,
            )
            client.publish(PLAYLISTS_WEEKLY, record)
            return "partial" if reply.status == "partial" else "made"
        failures, refusals = failures + (said in AGAIN), refusals + (said == OVERLOADED)
        may_try = (said in AGAIN and failures < TRIES) or (said == OVERLOADED and refusals < TURNED_AWAY_MAX)
        if not may_try or stop.wait(pause_s):
            return said
        pause_s = min(2 * pause_s, PAUSE_MAX_S)


def _asked(client: Asks, request: RecommendationRequest) -> tuple[str, RecommendationReply | None]:
    try:
        reply = client.ask(request, DEADLINE_MS / 1000 + ON_THE_WAY_S)
    except RequestTimedOut:
        return "deadline_exceeded", None
    if reply.status == "error":
        return reply.error.code if reply.error else "internal", None
    return "empty", reply


def earlier_of(last: WeeklyPlaylist | None, week: str) -> tuple[EarlierWeek, ...]:
    """What the lists of the weeks before `week` held, the latest first; of the last `WEEKS_KEPT` lists."""
    if last is None:
        return ()
    return tuple(one for one in lists_in(last) if one.week < week)[:WEEKS_KEPT]


def request_for(user_id: str, week: str, earlier: Sequence[EarlierWeek]) -> RecommendationRequest:
    """What is asked for somebody's list."""
    held = dict.fromkeys(track_id for one in earlier for track_id in one.track_ids)
    return RecommendationRequest(
        request_id=f"weekly-{week}-{uuid.uuid4().hex}",
        user_id=user_id,
        surface="discover_weekly",
        limit=TRACKS,
        filters=Filters(exclude_track_ids=tuple(held)) if held else None,
        deadline_ms=DEADLINE_MS,
        explain=True,
    )
