"""What a person costs in Redis: bytes of a new one, a typical one, and one at every bound, as JSON.

python bench/person_bytes.py
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

from bench.harness import report, scratch
from streams.embedded.redis import EmbeddedRedis, redis_child
from streams.embedded.stack import RunningPart
from streams.settings import Settings
from streams.state.connection import RedisConnection, connect
from streams.state.given import GIVEN_MAX, Given, GivenList, GivenStore
from streams.state.keys import given_key, key_prefix, person_keys
from streams.state.persons import PERSON_EVENT_IDS, PersonStore, Sent
from streams.weeks import WEEKS_KEPT
from topics.records import ARTIST_KINDS, Listen, ListenKind

NOW_MS = 1_700_000_000_000
# So many tracks in a sitting, and so long until the next one.
SITTING, TRACK_MS, BREAK_MS = 20, 180_000, 3_600_000


def spotify_id(number: int) -> str:
    """An id of the usual length."""
    return f"{number:022d}"


def life(user_id: str, heard: int, rated: int) -> Iterator[Listen]:
    """A person who heard, and rated in each way, so many tracks; every id is a UUID or of 22 characters."""
    rating: tuple[ListenKind, ...] = ("like", "dislike", "save", "block_artist", "follow_artist")
    for i, kind in enumerate(rating):
        yield from (event(user_id, kind, number + i * rated) for number in range(rated))
    yield from (event(user_id, "play", number) for number in range(heard))


def event(user_id: str, kind: ListenKind, number: int) -> Listen:
    """One event with every field that is kept."""
    about_artist = kind in ARTIST_KINDS
    return Listen(
        event_id=str(uuid.uuid4()),
        user_id=user_id,
        kind=kind,
        occurred_at_ms=NOW_MS + number * TRACK_MS + number // SITTING * BREAK_MS,
        track_id=None if about_artist else spotify_id(number),
        artist_id=spotify_id(number) if about_artist else None,
        played_ms=180_000,
        duration_ms=236_960,
        session_id="session-0001",
        request_id=str(uuid.uuid4()),
        surface="made_for_you",
    )


def lists(weeks: int, tracks: int) -> tuple[GivenList, ...]:
    """So many lists of so many tracks each."""
    return tuple(
        GivenList(f"2026-W{week:02d}", tuple(spotify_id(1000 * week + at) for at in range(tracks)))
        for week in range(weeks, 0, -1)
    )


async def measure(
    redis: RedisConnection, settings: Settings, heard: int, rated: int, given: tuple[GivenList, ...]
) -> dict[str, Any]:
    """Bytes of a person by key; closed sessions are gone, as they are a second later, when Kafka has them."""
    user_id = str(uuid.uuid4())
    events = [Sent(0, offset, one) for offset, one in enumerate(life(user_id, heard, rated))]
    persons = PersonStore(redis, settings)
    for start in range(0, len(events), PERSON_EVENT_IDS):
        await persons.apply({user_id: events[start : start + PERSON_EVENT_IDS]})
    if given:
        await GivenStore(redis, settings).put([Given(user_id, 0, 0, given)])
    prefix = key_prefix(settings.topic_prefix)
    keys = [*person_keys(prefix, user_id), given_key(prefix, user_id)]
    await redis.run([(b"UNLINK", key) for key in keys if key.endswith(b":closed")])
    sizes = await redis.run([(b"MEMORY", b"USAGE", key, b"SAMPLES", 0) for key in keys])
    by_key = {key.rpartition(b":")[2].decode(): size or 0 for key, size in zip(keys, sizes, strict=True)}
    return {"heard": heard, "rated_each": rated, "bytes": sum(by_key.values()), "by_key": by_key}


async def measure_all(settings: Settings) -> dict[str, object]:
    """The three persons; the last holds as much as it ever does, an eighth above each bound."""
    redis = connect(settings)
    heard, rated = settings.person_heard_max, settings.person_rated_max
    try:
        return {
            "new": await measure(redis, settings, 1, 0, ()),
            "typical": await measure(redis, settings, 300, 10, lists(WEEKS_KEPT + 1, 30)),
            "full": await measure(redis, settings, heard + heard // 8, rated + rated // 8, lists(1, GIVEN_MAX)),
        }
    finally:
        await redis.aclose()


def main() -> None:
    with scratch() as data_dir:
        server = EmbeddedRedis(data_dir)
        part = RunningPart(redis_child(server))
        part.start()
        try:
            figures = asyncio.run(measure_all(Settings(redis_url=server.url)))
        finally:
            part.stop()
    report("person_bytes", figures)


if __name__ == "__main__":
    main()
