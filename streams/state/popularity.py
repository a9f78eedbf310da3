"""How much each track is played, what is long ago counting less.

Source: G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu, "Forward Decay", ICDE 2009. Kept by partition of
`listening.events` with the offset of the last event counted, in one atomic step, and summed when read. Genres are not
counted here: who reads joins the catalogue's, so that a track that comes after its plays, or changes genre, counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from streams.settings import Settings
from streams.state.connection import Command, RedisConnection
from streams.state.keys import applied_key, key_prefix, popularity_key, recent_plays_key
from streams.state.scripts import script
from streams.state.watermark import decode_watermark, watermark_commands
from topics.specs import DAY_MS, LISTENING_EVENTS

# Tracks read in one reply: more would hold up the event loop, and Redis, for milliseconds.
PAGE = 5_000
# Beyond this many half-lives the ranking is all that matters, and a double might overflow.
HALF_LIVES_MAX = 400
# Tracks of which a partition tells what was played lately, and of how many it counts that.
RECENT_READ = 200
RECENT_KEPT = 10_000


class Play(Struct, frozen=True, array_like=True, gc=False):
    """What one event adds to one track."""

    offset: int
    at_ms: int
    weight: float
    track_id: str


class PartitionPlays(Struct, frozen=True):
    """The plays in a batch of one partition, in the order of their offsets.

    Attributes:
        through: offset of the batch's last event, which need not be a play.
    """

    partition: int
    through: int
    plays: Sequence[Play]


class Trend(Struct, frozen=True, gc=False):
    """Decayed plays of one track, those of the last days and all."""

    track_id: str
    recent: float
    plays: float


class PopularityStore:
    """Decayed plays by track."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._prefix = key_prefix(settings.topic_prefix)
        self._partitions = settings.partitions or LISTENING_EVENTS.partitions
        self._half_life_ms = settings.popularity_half_life_days * DAY_MS
        self._recent_half_life_ms = settings.rising_half_life_days * DAY_MS
        self._kept = settings.popularity_max
        self._encode = msgspec.msgpack.Encoder().encode

    async def count(self, batches: Iterable[PartitionPlays]) -> None:
        """Count plays, each once however often it comes, and publish how far the partitions have counted.

        Raises:
            StoreUnavailable: it is not known whether they were counted; count them again.
        """
        await self._redis.run([self._count(batch) for batch in batches])

    def _count(self, batch: PartitionPlays) -> Command:
        keys = [name(self._prefix, batch.partition) for name in (popularity_key, applied_key, recent_plays_key)]
        limits = repr(self._half_life_ms), self._kept, batch.through
        recent = repr(self._recent_half_life_ms), RECENT_KEPT
        return (b"EVALSHA", script("popularity").sha, 3, *keys, *limits, self._encode(batch.plays), *recent)

    async def applied_through(self, partition: int, offset: int) -> None:
        """Let nobody wait for events up to `offset`: all before it have counted, and it never will.

        Raises:
            StoreUnavailable: it is not known whether that was published.
        """
        key = applied_key(self._prefix, partition)
        await self._redis.run([(b"EVALSHA", script("applied").sha, 1, key, offset)])

    async def watermark(self, partitions: int) -> dict[int, int]:
        """Partition -> offset of the last event that has counted.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return decode_watermark(await self._redis.run(watermark_commands(self._prefix, partitions)))

    async def popular(self, limit: int, *, now_ms: int) -> list[tuple[str, float]]:
        """At most `limit` tracks with what their plays count now, the most first, ties by id.

        Each partition gives its own first `limit`: a track beyond them in one partition lacks that partition's plays.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        counts: dict[bytes, float] = {}
        for partition in range(self._partitions):
            plays, decay = await self._partition(partition, limit, now_ms)
            for track_id, count in plays.items():
                counts[track_id] = counts.get(track_id, 0.0) + count * decay
        return most_played(counts, limit)

    async def trends(self, *, now_ms: int) -> list[Trend]:
        """What the tracks played most of late count now, of late and in all, in the order of their ids.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        partitions = range(self._partitions)
        top = [(b"ZRANGE", recent_plays_key(self._prefix, one), 0, RECENT_READ - 1, b"REV") for one in partitions]
        tracks = sorted({track for found in await self._redis.run(top) for track in found})
        if not tracks:
            return []
        fields = (b"landmark", b"half_life", b"recent_landmark", b"recent_half_life")
        replies = await self._redis.run(
            [
                command
                for one in partitions
                for command in (
                    (b"HMGET", applied_key(self._prefix, one), *fields),
                    (b"ZMSCORE", popularity_key(self._prefix, one), *tracks),
                    (b"ZMSCORE", recent_plays_key(self._prefix, one), *tracks),
                )
            ]
        )
        plays, recent = [0.0] * len(tracks), [0.0] * len(tracks)
        for marks, counts, lately in zip(replies[::3], replies[1::3], replies[2::3], strict=True):
            for sums, found, at in ((plays, counts, marks[:2]), (recent, lately, marks[2:])):
                worth = _decay(float(at[0]), float(at[1]), now_ms) if at[0] is not None else 0.0
                for row, count in enumerate(found):
                    sums[row] += worth * float(count or 0)
        return [Trend(track.decode(), *both) for track, *both in zip(tracks, recent, plays, strict=True)]

    async def _partition(self, partition: int, limit: int, now_ms: int) -> tuple[Mapping[bytes, float], float]:
        """Track -> count at the landmark, and what such a count is worth now."""
        marks = (b"HMGET", applied_key(self._prefix, partition), b"landmark", b"half_life")
        plays: dict[bytes, float] = {}
        decay = 1.0
        for start in range(0, limit, PAGE):
            stop = min(start + PAGE, limit) - 1
            page = (b"ZRANGE", popularity_key(self._prefix, partition), start, stop, b"REV", b"WITHSCORES")
            found, (landmark, half_life) = await self._redis.run([page, marks])
            plays.update(zip(found[::2], map(float, found[1::2]), strict=True))
            if landmark is not None:
                decay = _decay(float(landmark), float(half_life), now_ms)
            if len(found) < 2 * PAGE:
                break
        return plays, decay


def most_played(counts: Mapping[bytes, float], limit: int) -> list[tuple[str, float]]:
    """The first `limit` by count, the most first, ties by id."""
    if len(counts) > limit:
        # Numbers sort several times faster than pairs, and most pairs need no sorting.
        cutoff = sorted(counts.values())[-limit]
        counts = {track_id: count for track_id, count in counts.items() if count >= cutoff}
    ordered = sorted((-count, track_id) for track_id, count in counts.items())
    return [(track_id.decode(), -negative) for negative, track_id in ordered[:limit]]


def _decay(landmark_ms: float, half_life_ms: float, now_ms: int) -> float:
    half_lives = (now_ms - landmark_ms) / half_life_ms
    return float(0.5 ** max(-HALF_LIVES_MAX, min(half_lives, HALF_LIVES_MAX)))
