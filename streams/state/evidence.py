"""What the ranking has learnt, in one value a partition of each topic, with the offset up to which it has learnt.

A partition has one writer; a value is replaced only if nobody else has replaced it since it was read, so even two
writers count nothing twice. Who ranks adds the partitions up. A value that is damaged is not used: the copy that is
kept now and then takes its place.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from models.arms import Tries
from models.bandit import Evidence
from models.errors import EvidenceDamaged, RewardOutOfRange
from models.learnt import Learnt, decode_learnt, encode_learnt
from models.skip_weights import SkipWeights
from models.skips import OnlineSkips
from recall.ranking_features import SIZE, SKIP_SIZE, VERSION, skip_rows
from streams.errors import StoreUnavailable
from streams.observing.metrics import EVIDENCE_REFUSED
from streams.settings import Settings
from streams.state.connection import RedisConnection
from streams.state.discoveries import more_glad
from streams.state.feedback import Lesson
from streams.state.keys import evidence_keys, key_prefix
from streams.state.scripts import script
from topics.specs import DAY_MS, LISTENING_EVENTS, SERVED

log = logging.getLogger(__name__)

HEAD_BYTES = 8
KEEP_S = 60.0
NOTHING = -1


def sources(partitions: int) -> list[str]:
    """Every partition that is learnt from, as it is called in keys."""
    return [source_of(topic, one) for topic in (LISTENING_EVENTS.name, SERVED.name) for one in range(partitions)]


def source_of(topic: str, partition: int) -> str:
    """A partition of a topic (its name without the installation's prefix), as it is called in keys.

    >>> source_of("listening.events", 3), source_of("recommendation.served", 0)
    ('e3', 's0')
    """
    return f"{'e' if topic == LISTENING_EVENTS.name else 's'}{partition}"


class EvidenceWriter:
    """Learns lessons, each once."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._prefix = key_prefix(settings.topic_prefix)
        self._half_life_ms = settings.learning_half_life_days * DAY_MS
        self._known: dict[str, tuple[Learnt, int, bytes]] = {}
        self._kept_s: dict[str, float] = {}

    async def learn(self, lessons: Sequence[Lesson]) -> list[Lesson]:
        """Learn what was not learnt before, and tell which that was; the lessons of a source in their order.

        Raises:
            StoreUnavailable: it is not known what was learnt; learn it again.
        """
        by_source: dict[str, list[Lesson]] = {}
        for lesson in lessons:
            by_source.setdefault(lesson.source, []).append(lesson)
        learnt: list[Lesson] = []
        for source, some in by_source.items():
            learnt += await self._learn(source, some)
        return learnt

    async def _learn(self, source: str, lessons: Sequence[Lesson]) -> list[Lesson]:
        # A failure leaves it unknown what is stored: it is read anew.
        known = self._known.pop(source) if source in self._known else await self._read(source)
        learnt, through, head = known
        fresh = [lesson for lesson in lessons if lesson.offset > through]
        if fresh:
            teach(learnt, fresh)
            through = max(lesson.offset for lesson in fresh)
            value = encode_learnt(learnt, through, VERSION)
            await self._replace(source, head, value)
            head = value[:HEAD_BYTES]
        self._known[source] = learnt, through, head
        return fresh

    async def _replace(self, source: str, head: bytes, value: bytes) -> None:
        now_s = time.monotonic()
        keep = now_s - self._kept_s.get(source, -KEEP_S) >= KEEP_S
        keys = evidence_keys(self._prefix, VERSION, source)
        (replaced,) = await self._redis.run([(b"EVALSHA", script("evidence").sha, 2, *keys, head, value, int(keep))])
        if not replaced:
            raise StoreUnavailable(f"expected to be the only one that learns from {source}, it was replaced meanwhile")
        if keep:
            self._kept_s[source] = now_s

    async def _read(self, source: str) -> tuple[Learnt, int, bytes]:
        """What is stored, the offset it has learnt to, and the bytes that it begins with."""
        values = await self._redis.run([(b"GET", key) for key in evidence_keys(self._prefix, VERSION, source)])
        head = (values[0] or b"")[:HEAD_BYTES]
        for value in values:
            if value is None:
                continue
            try:
                learnt, through = decode_learnt(value, VERSION, SIZE, SKIP_SIZE)
            except EvidenceDamaged as error:
                EVIDENCE_REFUSED.inc()
                log.error("what was learnt from %s is damaged, the copy takes its place: %s", source, error)
                continue
            if learnt.evidence.half_life_ms != self._half_life_ms:
                learnt.forget_by(self._half_life_ms, time.time() * 1000)
            return learnt, through, head
        return Learnt(Evidence(SIZE, self._half_life_ms), SkipWeights.of_nothing(SKIP_SIZE)), NOTHING, head


def teach(learnt: Learnt, lessons: Sequence[Lesson]) -> None:
    """Learn the lessons, in their order; one that cannot be is passed over."""
    skips = OnlineSkips(learnt.skips)
    for lesson in lessons:
        try:
            learnt.evidence.learn(lesson.features, lesson.change, at_ms=lesson.at_ms, is_new=lesson.is_new)
        except RewardOutOfRange as error:
            log.warning("a lesson is passed over: %s", error)
            continue
        if lesson.skipped is not None:
            skips.learn(skip_rows(lesson.features[None, :])[0], lesson.skipped)
        # What was explored is shown whatever the blend.
        if lesson.blend is not None and not lesson.explored:
            tries = learnt.tries.setdefault(lesson.blend, Tries())
            tries.count(float(lesson.is_new), float(more_glad(lesson)), lesson.at_ms, learnt.evidence.half_life_ms)
    learnt.skips = skips.weights(SKIP_SIZE)


class EvidenceReader:
    """Reads all evidence, and of what has not changed only that it has not."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._prefix = key_prefix(settings.topic_prefix)
        self._sources = sources(settings.partitions or LISTENING_EVENTS.partitions)
        self._heads: dict[str, bytes] = {}
        self._good: dict[str, Learnt] = {}

    async def changed(self) -> Mapping[str, Learnt] | None:
        """What was learnt by source, `None` when it is what it was.

        Of a value that is damaged, the last good one stays; where there is none yet, the copy.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        keys = {source: evidence_keys(self._prefix, VERSION, source) for source in self._sources}
        heads = await self._redis.run([(b"GETRANGE", keys[one][0], 0, HEAD_BYTES + 3) for one in self._sources])
        changed = [source for source, head in zip(self._sources, heads, strict=True) if head != self._heads.get(source)]
        if not changed:
            return None
        values = await self._redis.run([(b"MGET", *keys[source]) for source in changed])
        for source, (value, kept) in zip(changed, values, strict=True):
            self._take(source, value, kept)
        return dict(self._good)

    def _take(self, source: str, value: bytes | None, kept: bytes | None) -> None:
        self._heads[source] = (value or b"")[: HEAD_BYTES + 4]
        if value is None and kept is None:
            # Nothing was learnt yet, or somebody has emptied the store: so the ranking begins anew.
            self._good.pop(source, None)
        for one in (value, kept):
            if one is None:
                continue
            try:
                self._good[source], _ = decode_learnt(one, VERSION, SIZE, SKIP_SIZE)
                return
            except EvidenceDamaged as error:
                EVIDENCE_REFUSED.inc()
                log.error("what was learnt from %s is refused: %s", source, error)
                if source in self._good:
                    return
