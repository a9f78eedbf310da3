"""What people's weekly lists held: the last record stands, for as long as it matters, in a bounded number of bytes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given as every
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.agents.weekly_lists import WeeklyListEffects
from streams.delivery import Received
from streams.state.connection import RedisConnection
from streams.state.given import GivenStore
from streams.state.keys import given_key, key_prefix
from streams.state.persons import PersonStore
from streams.weeks import WEEK_MS, week_of
from tests.integration.state_server import CLUSTERED, Server, running_server
from topics.records import EarlierWeek, Item, WeeklyPlaylist
from topics.specs import PLAYLISTS_WEEKLY

DAY_S = 86_400


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("redis"), CLUSTERED) as running:
        yield running


class Here:
    """One installation: what the topic says goes in, and persons come out."""

    def __init__(self, redis: RedisConnection, settings: Any) -> None:
        self.redis = redis
        self.persons = PersonStore(redis, settings)
        self.prefix = key_prefix(settings.topic_prefix)
        self._effects = WeeklyListEffects(GivenStore(redis, settings))

    async def apply(self, *batch: Received[WeeklyPlaylist]) -> None:
        assert await self._effects.apply(batch) == ()

    async def known(self, user_id: str = "u") -> set[str]:
        return set((await self.persons.read(user_id)).earlier_lists)

    async def of_key(self, *command: Any, user_id: str = "u") -> Any:
        (found,) = await self.redis.run([(command[0], *command[1:], given_key(self.prefix, user_id))])
        return found


@pytest.fixture
async def here(server: Server) -> AsyncIterator[Here]:
    settings = server.settings()
    async with server.connected(settings) as redis:
        yield Here(redis, settings)


def ago(weeks: int) -> str:
    return week_of(int(time.time() * 1000) - weeks * WEEK_MS)


def items(*track_ids: str) -> tuple[Item, ...]:
    return tuple(
        Item(position=at, track_id=one, title=one, artists=(), score=0.0, channels={})
        for at, one in enumerate(track_ids)
    )


def record(offset: int, *track_ids: str, weeks: int = 0, partition: int = 0, **fields: Any) -> Received[WeeklyPlaylist]:
    user_id = fields.pop("user_id", "u")
    value = WeeklyPlaylist(
        user_id=user_id, week=ago(weeks), made_at_ms=0, request_id="r", items=items(*track_ids), **fields
    )
    return received(offset, value, user_id, partition)


def received(
    offset: int, value: WeeklyPlaylist | None, user_id: str = "u", partition: int = 0
) -> Received[WeeklyPlaylist]:
    return Received(PLAYLISTS_WEEKLY.name, partition, offset, 0, user_id.encode(), (), value)


async def test_the_list_of_the_week_and_those_of_twelve_weeks_before_are_known(here: Here) -> None:
    earlier = [EarlierWeek(week=ago(weeks), track_ids=(f"w{weeks}",)) for weeks in (1, 11, 14)]
    await here.apply(record(0, "a", "b", earlier=tuple(earlier)))
    assert await here.known() == {"a", "b", "w1", "w11"}
    report = await here.persons.person_report("u")
    assert report["weekly_lists"] == [
        {"week": ago(0), "track_ids": ("a", "b")},
        {"week": ago(1), "track_ids": ("w1",)},
        {"week": ago(11), "track_ids": ("w11",)},
    ]
    assert await here.known("another") == set()


async def test_a_list_matters_no_more_thirteen_weeks_later(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    await here.apply(record(0, "a"))
    now_s = time.time()
    monkeypatch.setattr("streams.state.persons.time.time", lambda: now_s + 12 * 7 * DAY_S)
    assert await here.known() == {"a"}
    monkeypatch.setattr("streams.state.persons.time.time", lambda: now_s + 13 * 7 * DAY_S)
    assert await here.known() == set()
    kept_s = await here.of_key("TTL")
    assert 13 * 7 * DAY_S - 60 < kept_s <= 13 * 7 * DAY_S


async def test_a_record_that_comes_again_changes_nothing_and_a_withdrawn_one_is_forgotten(here: Here) -> None:
    first, second = record(3, "first"), record(7, "second")
    await here.apply(first, second)
    await here.apply(first, second)
    await here.apply(first)
    assert await here.known() == {"second"}
    await here.apply(received(9, None))
    await here.apply(first, second)
    assert await here.known() == set()
    assert "weekly_lists" not in await here.persons.person_report("u")
    # Nothing but a place in the log, for a day.
    assert await here.of_key("STRLEN") == 10
    assert 0 < await here.of_key("TTL") <= DAY_S
    await here.apply(record(11, "third"))
    assert await here.known() == {"third"}


@every(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=12))
@hypothesis_settings(max_examples=40, deadline=None)
async def test_what_stands_last_in_the_log_is_known_in_whatever_order_it_comes(
    server: Server, arrivals: list[tuple[int, bool]]
) -> None:
    # One record an offset, whatever was drawn for it first.
    log = dict(reversed(arrivals))
    settings = server.settings()
    async with server.connected(settings) as redis:
        here = Here(redis, settings)
        for offset, _ in arrivals:
            await here.apply(received(offset, None) if log[offset] else record(offset, f"t{offset}"))
        last = max(log)
        assert await here.known() == (set() if log[last] else {f"t{last}"})


async def test_lists_of_any_size_take_a_bounded_number_of_bytes_and_the_latest_stay(here: Here) -> None:
    ids = [f"{number:022d}" for number in range(53 * 500)]
    earlier = tuple(
        EarlierWeek(week=ago(1 + number % 11), track_ids=tuple(ids[500 * number : 500 * number + 500]))
        for number in range(1, 53)
    )
    await here.apply(record(0, *ids[:300], earlier=earlier))
    assert await here.known() == {*ids[:300], *ids[500:700]}
    assert await here.of_key("MEMORY", "USAGE") < 500 * 23 + 1_024 * 2


async def test_nothing_is_left_of_the_lists_of_a_person_who_is_forgotten(here: Here) -> None:
    await here.apply(record(0, "a"), record(1, "b", user_id="stays"))
    await here.persons.forget("u")
    assert await here.of_key("EXISTS") == 0
    assert await here.known("stays") == {"b"}


async def test_an_answer_reads_them_with_all_the_rest_in_one_round_trip(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.apply(record(0, "a"))
    run, trips = here.redis.run, []
    monkeypatch.setattr(here.redis, "run", lambda commands: trips.append(commands) or run(commands))
    person, _ = await here.persons.read_for_answer("u", 4)
    assert person.earlier_lists == {"a"}
    assert len(trips) == 1
