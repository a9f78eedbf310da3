"""Plays count half after a half-life, and once however often they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from msgspec.structs import replace

from streams.state.connection import RedisConnection
from streams.state.keys import applied_key, key_prefix, recent_plays_key
from streams.state.popularity import PartitionPlays, Play, PopularityStore, Trend
from tests.integration.state_server import CLUSTERED, Server, running_server

DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("redis"), CLUSTERED) as running:
        yield running


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[RedisConnection]:
    async with server.connected() as connection:
        yield connection


def plays(*given: tuple[int, float, str], partition: int = 0, start: int = 0) -> PartitionPlays:
    """Plays at (days before now, weight, track), at offsets from `start` on."""
    listed = [Play(start + i, NOW_MS - days * DAY_MS, weight, name) for i, (days, weight, name) in enumerate(given)]
    return PartitionPlays(partition, start + len(given) - 1, listed)


async def test_a_play_counts_half_after_each_half_life(server: Server, redis: RedisConnection) -> None:
    store = PopularityStore(redis, server.settings(popularity_half_life_days=10.0))
    await store.count([plays((10, 1.0, "a"), (0, 1.0, "b"), (20, 2.0, "c"), (0, 0.25, "c"))])
    assert await store.popular(9, now_ms=NOW_MS) == [("b", 1.0), ("c", 0.75), ("a", 0.5)]
    assert await store.popular(9, now_ms=NOW_MS + 10 * DAY_MS) == [("b", 0.5), ("c", 0.375), ("a", 0.25)]


async def test_partitions_are_summed_and_ties_go_by_id(server: Server, redis: RedisConnection) -> None:
    store = PopularityStore(redis, server.settings(popularity_half_life_days=10.0, partitions=3))
    await store.count([plays((0, 1.0, "b"), (0, 1.0, "a")), plays((10, 1.0, "c"), (10, 1.0, "a"), partition=2)])
    assert await store.popular(9, now_ms=NOW_MS) == [("a", 1.5), ("b", 1.0), ("c", 0.5)]
    await store.count([plays((10, 1.0, "c"), partition=1)])
    assert await store.popular(2, now_ms=NOW_MS) == [("a", 1.5), ("b", 1.0)]
    assert await store.popular(3, now_ms=NOW_MS) == [("a", 1.5), ("b", 1.0), ("c", 1.0)]


async def test_a_batch_that_comes_again_counts_only_what_is_new(server: Server, redis: RedisConnection) -> None:
    store = PopularityStore(redis, server.settings(partitions=1))
    first = plays((0, 1.0, "a"), (0, 1.0, "a"), (0, 1.0, "b"))
    longer = plays((0, 1.0, "a"), (0, 1.0, "a"), (0, 1.0, "b"), (0, 1.0, "b"), (0, 1.0, "b"))
    for batch in (first, first, longer, first, longer):
        await store.count([batch])
    assert await store.popular(9, now_ms=NOW_MS) == [("b", 3.0), ("a", 2.0)]
    assert await store.watermark(1) == {0: 4}


async def test_the_least_played_are_forgotten(server: Server, redis: RedisConnection) -> None:
    store = PopularityStore(redis, server.settings(popularity_max=2, popularity_half_life_days=10.0, partitions=1))
    await store.count([plays((0, 1.0, "a"), (10, 1.0, "b"), (20, 1.0, "c"), (0, 0.75, "d"))])
    assert await store.popular(9, now_ms=NOW_MS) == [("a", 1.0), ("d", 0.75)]


async def test_years_beyond_the_range_of_a_double_count_right(server: Server, redis: RedisConnection) -> None:
    """With a half-life of an hour a century is 876,000 of them, and a double holds 1,023."""
    store = PopularityStore(redis, server.settings(popularity_half_life_days=1 / 24, partitions=1))
    for start, days in enumerate((36_500, 30, 1, 0)):
        await store.count([plays((days, 1.0, "always"), start=start)])
    await store.count([plays((0, 1.0, "today"), (36_500, 1.0, "once"), start=4)])
    found = dict(await store.popular(9, now_ms=NOW_MS))
    assert found["always"] == pytest.approx(1 + 2**-24, rel=1e-12)
    assert found["today"] == 1.0
    assert found["once"] < 1e-100


async def test_another_half_life_goes_on_from_what_was_counted(server: Server, redis: RedisConnection) -> None:
    settings = server.settings(popularity_half_life_days=10.0, partitions=1)
    await PopularityStore(redis, settings).count([plays((10, 1.0, "a"), (10, 3.0, "b"))])
    slower = PopularityStore(redis, replace(settings, popularity_half_life_days=20.0))
    await slower.count([plays((0, 1.0, "c"), start=2)])
    # Ten days at the old rate, then twenty at the new.
    assert await slower.popular(9, now_ms=NOW_MS) == [("b", 1.5), ("c", 1.0), ("a", 0.5)]
    assert await slower.popular(9, now_ms=NOW_MS + 20 * DAY_MS) == [("b", 0.75), ("c", 0.5), ("a", 0.25)]


async def test_an_offset_that_was_set_aside_is_not_waited_for(server: Server, redis: RedisConnection) -> None:
    store = PopularityStore(redis, server.settings(partitions=2))
    await store.applied_through(0, 7)
    assert await store.watermark(2) == {0: 7}
    await store.applied_through(0, 3)
    assert await store.watermark(2) == {0: 7}


async def test_setting_a_record_aside_hides_no_play_before_it(server: Server, redis: RedisConnection) -> None:
    store = PopularityStore(redis, server.settings(partitions=1))
    await store.applied_through(0, 7)
    await store.count([plays((0, 1.0, "a"), start=5)])
    await store.count([plays((0, 1.0, "a"), start=6)])
    assert await store.popular(9, now_ms=NOW_MS) == [("a", 2.0)]
    assert await store.watermark(1) == {0: 7}


async def test_events_that_are_no_plays_are_still_waited_for(server: Server, redis: RedisConnection) -> None:
    store = PopularityStore(redis, server.settings(partitions=1))
    await store.count([PartitionPlays(0, 12, [])])
    assert await store.watermark(1) == {0: 12}
    assert await store.popular(9, now_ms=NOW_MS) == []


async def test_more_tracks_than_one_reply_holds_are_all_found(server: Server, redis: RedisConnection) -> None:
    store = PopularityStore(redis, server.settings(partitions=1))
    await store.count([plays(*((0, 1.0 + n, f"{n}") for n in range(12_001)))])
    found = await store.popular(11_000, now_ms=NOW_MS)
    assert found == [(f"{n}", 1.0 + n) for n in range(12_000, 1_000, -1)]


async def test_plays_of_late_fade_sooner_than_all_and_are_summed_over_partitions(
    server: Server, redis: RedisConnection
) -> None:
    settings = server.settings(popularity_half_life_days=20.0, rising_half_life_days=10.0, partitions=2)
    store = PopularityStore(redis, settings)
    assert await store.trends(now_ms=NOW_MS) == []
    first = plays((20, 4.0, "old"), (0, 1.0, "new"))
    for batch in (first, first, plays((10, 2.0, "new"), (0, 1.0, "old"), partition=1)):
        await store.count([batch])
    # Of 4 plays 20 days ago a quarter is left of late and half of all; of 2 plays 10 days ago a half, and 2 ** 0.5.
    new, old = await store.trends(now_ms=NOW_MS)
    assert old == Trend("old", 2.0, 3.0)
    assert (new.track_id, new.recent, new.plays) == ("new", 2.0, pytest.approx(1 + 2**0.5))


async def test_counts_of_before_there_were_recent_ones_stay(server: Server, redis: RedisConnection) -> None:
    settings = server.settings(partitions=1)
    store, prefix = PopularityStore(redis, settings), key_prefix(settings.topic_prefix)
    await store.count([plays((0, 1.0, "a"))])
    await redis.run([(b"DEL", recent_plays_key(prefix, 0))])
    await redis.run([(b"HDEL", applied_key(prefix, 0), b"recent_landmark", b"recent_half_life")])
    assert await store.trends(now_ms=NOW_MS) == []
    await store.count([plays((0, 1.0, "a"), start=1)])
    assert await store.trends(now_ms=NOW_MS) == [Trend("a", 1.0, 2.0)]
