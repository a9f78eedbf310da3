"""Redis may forget scripts, restart, hang, refuse: callers see right answers or `StoreUnavailable`, nothing between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.errors import StoreUnavailable
from streams.settings import Settings
from streams.state import connection as connection_module
from streams.state.persons import PersonStore, Sent
from tests.integration.state_server import ALONE, Server, running_server
from topics.records import Listen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path, ALONE) as running:
        yield running


def sent(offset: int) -> Sent:
    return Sent(0, offset, Listen(event_id=f"e{offset}", user_id="u", kind="play", track_id="t", occurred_at_ms=5))


async def test_a_restarted_server_has_what_was_acknowledged_and_learns_its_scripts_again(server: Server) -> None:
    settings = server.settings()
    async with server.connected(settings) as redis:
        persons = PersonStore(redis, settings)
        await persons.apply({"u": [sent(0)]})
        await asyncio.to_thread(server.part.kill)
        await asyncio.to_thread(server.part.start)
        assert (await persons.apply({"u": [sent(0), sent(1)]})).counted == {"u": [True, True]}
        assert (await persons.person_report("u"))["heard"] == [
            {"track_id": "t", "plays": 2, "skips": 0, "last_at_ms": 5}
        ]


async def test_scripts_that_were_flushed_are_loaded_again_in_the_midst_of_many_commands(server: Server) -> None:
    settings = server.settings()
    async with server.connected(settings) as redis:
        persons = PersonStore(redis, settings)
        await persons.apply({"u": [sent(0)]})
        await redis.run([("SCRIPT", "FLUSH")])
        given = {f"u{n}": [sent(n)] for n in range(300)}
        assert (await persons.apply(given)).counted == {name: [True] for name in given}
        assert (await persons.person_report("u299"))["events_counted"] == 1


async def test_a_server_that_is_away_is_unavailable_and_is_found_again(server: Server) -> None:
    settings = server.settings()
    async with server.connected(settings) as redis:
        persons = PersonStore(redis, settings)
        await persons.apply({"u": [sent(0)]})
        await asyncio.to_thread(server.part.stop)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="expected an answer from Redis"):
                await persons.read("u")
        await asyncio.to_thread(server.part.start)
        assert (await persons.read("u")).heard == {"t": 5}


async def test_a_server_that_hangs_is_unavailable(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "ANSWER_S", 0.2)
    async with server.connected() as redis:
        assert await redis.run([("PING",)]) == [b"PONG"]
        server.part.freeze()
        try:
            with pytest.raises(StoreUnavailable):
                await redis.run([("PING",)])
        finally:
            server.part.thaw()
        assert await redis.run([("ECHO", "after")]) == [b"after"]


async def test_a_server_without_memory_refuses_a_batch_whole_and_takes_it_later(server: Server) -> None:
    settings = server.settings()
    async with server.connected(settings) as redis:
        persons = PersonStore(redis, settings)
        await persons.apply({"u": [sent(0)]})
        await redis.run([("CONFIG", "SET", "maxmemory", 1)])
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            await persons.apply({"u": [sent(1)]})
        assert (await persons.person_report("u"))["events_counted"] == 1
        await redis.run([("CONFIG", "SET", "maxmemory", 0)])
        assert (await persons.apply({"u": [sent(1)]})).counted == {"u": [True]}
        assert (await persons.person_report("u"))["events_counted"] == 2


async def test_a_read_only_server_is_unavailable(server: Server) -> None:
    settings = server.settings()
    async with server.connected(settings) as redis:
        await redis.run([("REPLICAOF", "127.0.0.1", 1)])
        with pytest.raises(StoreUnavailable):
            await PersonStore(redis, settings).apply({"u": [sent(0)]})
        await redis.run([("REPLICAOF", "NO", "ONE")])
        assert (await PersonStore(redis, settings).apply({"u": [sent(0)]})).counted == {"u": [True]}


async def test_who_gives_up_waiting_leaves_no_answer_to_the_next(server: Server) -> None:
    async with server.connected() as redis:
        for number in range(30):
            abandoned = asyncio.ensure_future(redis.run([("ECHO", f"abandoned {number}")] * 50))
            for _ in range(number % 6):
                await asyncio.sleep(0)
            abandoned.cancel()
            assert await redis.run([("ECHO", f"{number}")]) == [f"{number}".encode()]


async def test_more_callers_than_connections_are_all_answered(server: Server) -> None:
    async with server.connected() as redis:
        answers = await asyncio.gather(*(redis.run([("ECHO", f"{n}"), ("PING",)]) for n in range(200)))
        assert answers == [[f"{n}".encode(), b"PONG"] for n in range(200)]


async def test_a_unix_socket_is_an_address_too(server: Server) -> None:
    async with server.connected(Settings(redis_url=server.socket_url)) as redis:
        assert await redis.run([("ECHO", "hello")]) == [b"hello"]
