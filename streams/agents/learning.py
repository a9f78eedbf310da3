"""What an answer and the reactions to it do: they are joined, in whatever order, and the ranking learns from both."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from models.bandit import posterior_of
from models.errors import EvidenceDamaged
from recall.ranking_features import PRIOR
from streams.delivery import Received, Refusal
from streams.errors import StoreUnavailable
from streams.observing.metrics import LESSONS
from streams.state.discoveries import DiscoveryStore
from streams.state.evidence import EvidenceReader, EvidenceWriter, source_of
from streams.state.feedback import Arrival, FeedbackStore, Lesson, arrival_of_event, arrival_of_served
from streams.state.rankings import RankingStore, version_name
from topics.records import Listen, Served
from topics.specs import LISTENING_EVENTS, SERVED

log = logging.getLogger(__name__)


class Guarded(Protocol):
    """Sees to it that what the ranking earns does not fall."""

    async def watch(self, lessons: Sequence[Lesson]) -> object:
        """Look at what was learnt just now."""


class LearningEffects:
    """Learns in three steps, each idempotent and atomic: join, person, evidence.

    A record that comes again is joined as it was the first time, and what a step has taken already it takes no more.
    """

    def __init__(
        self, feedback: FeedbackStore, discoveries: DiscoveryStore, evidence: EvidenceWriter, guarded: Guarded
    ) -> None:
        self._feedback = feedback
        self._discoveries = discoveries
        self._evidence = evidence
        self._guarded = guarded

    async def apply_served(self, batch: Sequence[Received[Served]]) -> Sequence[Refusal]:
        """Hold what was shown, and learn from the reactions that came before it; nothing is refused.

        Raises:
            StoreUnavailable: it is not known which took effect; apply the batch again.
        """
        arrivals = [
            arrival_of_served(one.record, source_of(SERVED.name, one.partition), one.offset, one.timestamp_ms)
            for one in batch
            if one.record is not None
        ]
        LESSONS.labels(SERVED.name, "other_features").inc(arrivals.count(None))
        await self._learn(SERVED.name, [one for one in arrivals if one is not None])
        return ()

    async def apply_events(self, batch: Sequence[Received[Listen]]) -> Sequence[Refusal]:
        """Hold the reactions, and learn from those to what is known to have been shown; nothing is refused.

        Raises:
            StoreUnavailable: it is not known which took effect; apply the batch again.
        """
        arrivals = [
            arrival_of_event(one.record, source_of(LISTENING_EVENTS.name, one.partition), one.offset, one.timestamp_ms)
            for one in batch
            if one.record is not None and one.record.request_id is not None
        ]
        await self._learn(LISTENING_EVENTS.name, [one for one in arrivals if one is not None])
        return ()

    async def _learn(self, topic: str, arrivals: Sequence[Arrival]) -> None:
        lessons = await self._feedback.join(arrivals)
        await self._discoveries.count([lesson for lesson in lessons if lesson.explored and lesson.user_id is not None])
        learnt = await self._evidence.learn(lessons)
        LESSONS.labels(topic, "learnt").inc(len(learnt))
        LESSONS.labels(topic, "nothing").inc(max(0, len(arrivals) - len(learnt)))
        await self._guarded.watch(learnt)


async def keep_versions(reader: EvidenceReader, versions: RankingStore, every_s: float) -> None:
    """Keep what is believed now and then for ever, under one name whichever worker does it."""
    while True:
        try:
            learnt = await reader.changed()
            if learnt:
                now_ms = time.time() * 1000
                name = version_name(int(now_ms - now_ms % (1000 * every_s)))
                await versions.keep(name, posterior_of(PRIOR, [one.evidence for one in learnt.values()], now_ms=now_ms))
        except (StoreUnavailable, EvidenceDamaged) as error:
            log.warning("no version of the ranking is kept: %s", error)
        await asyncio.sleep(every_s)
