"""Sessions between the person and the topic: what is closed when, and that nothing is lost between two steps."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from streams.sessions import SessionCloser
from streams.settings import Settings
from streams.state import sessions as module
from streams.state.connection import Command, RedisConnection
from streams.state.persons import PersonStore, Sent
from streams.state.scripts import script
from streams.state.sessions import SessionStore
from tests.integration.state_server import ALONE, CLUSTERED, Server, running_server
from topics.codec import decode
from topics.errors import PublishFailed
from topics.records import Listen, ListeningSession

HOUR_MS = 3_600_000
LONG_AGO_MS = 1_700_000_000_000


@pytest.fixture(scope="module", params=[ALONE, CLUSTERED])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("redis"), request.param) as running:
        yield running


class Topic:
    """Takes sessions, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.tracks: list[list[str]] = []

    async def send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        if self.away:
            raise PublishFailed("away")
        session = decode(value, ListeningSession)
        assert key == session.user_id.encode()
        self.tracks.append([one.track_id for one in session.tracks])


class Share:
    """Partition 0, read to its end or not."""

    def __init__(self) -> None:
        self.read = True

    async def partitions(self) -> Mapping[int, bool]:
        return {0: self.read}


class Here:
    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self.persons, self.store = PersonStore(redis, settings), SessionStore(redis, settings)
        self.topic, self.share = Topic(), Share()
        self.closer = SessionCloser(self.store, self.share, self.topic, settings)
        self._offset = 0

    async def live(self, track_id: str, at_ms: int = LONG_AGO_MS, user_id: str = "u") -> None:
        self._offset += 1
        event = Listen(
            event_id=f"e{self._offset}", user_id=user_id, kind="play", track_id=track_id, occurred_at_ms=at_ms
        )
        applied = await self.persons.apply({user_id: [Sent(0, self._offset, event)]})
        await self.store.note({0: {user_id}}, applied.closing)

    async def until_sent(self, expected: list[list[str]]) -> None:
        deadline = time.monotonic() + 60
        while self.topic.tracks != expected:
            assert time.monotonic() < deadline, self.topic.tracks
            await self.closer.look()


@pytest.fixture
async def here(server: Server):
    settings = server.settings(session_silence_s=0.05)
    async with server.connected(settings) as redis:
        yield Here(redis, settings)


async def test_silence_means_nothing_while_events_are_unread_but_a_gap_does(here: Here) -> None:
    here.share.read = False
    await here.live("a")
    await here.live("b", LONG_AGO_MS + HOUR_MS)
    await here.until_sent([["a"]])
    pause = time.monotonic() + 0.2
    while time.monotonic() < pause:
        await here.closer.look()
    assert here.topic.tracks == [["a"]]
    await here.live("c", LONG_AGO_MS + HOUR_MS)
    here.share.read = True
    await here.until_sent([["a"], ["b", "c"]])


async def test_what_comes_between_closing_and_the_end_of_a_claim_has_its_own_session(here: Here) -> None:
    await here.live("a")
    claim = closed = None
    deadline = time.monotonic() + 60
    while not closed:
        assert time.monotonic() < deadline
        claim = await here.store.claim(0, silent=True)
        closed = await here.store.close(claim, silent=True)
    assert [[track.track_id for track in one.session.tracks] for one in closed] == [["a"]]
    await here.live("b")
    await here.store.settle(claim, closed)
    await here.until_sent([["b"]])


class Interrupted:
    """Something happens right before a claim ends."""

    def __init__(self, redis: RedisConnection, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._redis, self._meanwhile = redis, meanwhile

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        if commands[0][1] == script("settle").sha:
            await self._meanwhile()
        return await self._redis.run(commands)


async def test_what_comes_at_the_very_end_of_a_claim_is_not_forgotten(here: Here) -> None:
    await here.live("a")
    redis = here.store._redis
    here.store._redis = Interrupted(redis, lambda: here.live("b"))
    await here.until_sent([["a"]])
    here.store._redis = redis
    await here.until_sent([["a"], ["b"]])


async def test_a_session_is_closed_by_one_of_two_who_look(here: Here) -> None:
    await here.live("a")
    first: tuple[str, ...] = ()
    deadline = time.monotonic() + 60
    while not first:
        assert time.monotonic() < deadline
        first = (await here.store.claim(0, silent=True)).user_ids
    assert first == ("u",)
    assert (await here.store.claim(0, silent=True)).user_ids == ()


async def test_a_topic_that_is_away_gets_its_sessions_later(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLAIM_S", 0.1)
    await here.live("a")
    here.topic.away = True
    with pytest.raises(PublishFailed):
        await here.until_sent([["a"]])
    here.topic.away = False
    await here.until_sent([["a"]])


async def test_nothing_remains_of_people_who_are_done_or_forgotten(here: Here, server: Server) -> None:
    for number in range(200):
        await here.live(f"t{number}", user_id=f"user {number}")
    await here.persons.forget("user 7")
    deadline = time.monotonic() + 60
    while len(here.topic.tracks) < 199:
        assert time.monotonic() < deadline
        await here.closer.look()
    assert sorted(here.topic.tracks) == sorted([f"t{number}"] for number in range(200) if number != 7)
    await here.closer.look()
    async with server.connected() as redis:
        prefix = here.closer._topic.partition(".")[0]
        assert await redis.run([("EXISTS", f"{prefix}.sessions-due:{{p0}}")]) == [0]


async def test_a_session_without_end_is_cut_so_that_a_person_stays_small(server: Server) -> None:
    settings = server.settings()
    async with server.connected(settings) as redis:
        here = Here(redis, settings)
        for number in range(450):
            await here.live(f"t{number}")
        await here.until_sent([[f"t{n}" for n in range(200)], [f"t{n}" for n in range(200, 400)]])
        assert len((await here.persons.held("u")).session) == 50
