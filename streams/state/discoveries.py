"""How a person takes what is explored on them: how many tracks they reacted to, and how many of these gladly."""

from __future__ import annotations

from collections.abc import Sequence

from streams.settings import Settings
from streams.state.connection import Command, RedisConnection
from streams.state.feedback import Lesson
from streams.state.keys import explored_key, key_prefix
from streams.state.scripts import script
from topics.specs import DAY_MS

# Heard for half of it, or kept.
GLAD_FROM = 0.5
# What a count keeps of itself when another comes: the last fifty or so are what counts.
FADE = 0.98
KEPT_MS = 180 * DAY_MS


class DiscoveryStore:
    """Counts by person, each record once."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._prefix = key_prefix(settings.topic_prefix)

    async def count(self, lessons: Sequence[Lesson]) -> None:
        """Count what the lessons, all of explored tracks of known persons, say.

        Raises:
            StoreUnavailable: it is not known what was counted; count again.
        """
        by_record: dict[tuple[str, str, int], list[Lesson]] = {}
        for one in lessons:
            by_record.setdefault((one.user_id or "", one.source, one.offset), []).append(one)
        if by_record:
            await self._redis.run([self._count(*place, some) for place, some in by_record.items()])

    def _count(self, user_id: str, source: str, offset: int, lessons: Sequence[Lesson]) -> Command:
        tried = sum(one.is_new for one in lessons)
        glad = sum(map(more_glad, lessons))
        key = explored_key(self._prefix, user_id)
        return (b"EVALSHA", script("explored").sha, 1, key, KEPT_MS, repr(FADE), source, offset, tried, glad)


def more_glad(lesson: Lesson) -> int:
    """What a lesson changes in how many tracks were welcome: 1, 0 or -1."""
    return _is_glad(lesson.before + lesson.change) - (not lesson.is_new and _is_glad(lesson.before))


def _is_glad(reward: float) -> bool:
    return reward >= GLAD_FROM
