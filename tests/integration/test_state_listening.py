"""Listening events count once for their person and once for their track, however often and in what parts they come."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.agents.listening import ListeningEffects
from streams.delivery import Received
from streams.errors import StoreUnavailable
from streams.settings import Settings
from streams.state.persons import PersonStore
from streams.state.popularity import PopularityStore
from streams.state.sessions import SessionStore
from tests.integration.state_oracle import Oracle
from tests.integration.state_server import ALONE, CLUSTERED, Server, running_server
from topics.records import ARTIST_KINDS, Listen

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
PARTITIONS = 2
KINDS = (
    *("play", "play", "play", "skip", "skip", "like", "dislike", "unrate", "save", "unsave", "repeat"),
    *("add_to_playlist", "block_artist", "unblock_artist", "follow_artist", "unfollow_artist"),
)
Batch = Sequence[Received[Listen]]
# A window of each partition, and whether the worker dies between the steps.
Delivery = tuple[list[tuple[int, int]], bool]
Plan = tuple[list[list[Received[Listen]]], list[Delivery]]


@pytest.fixture(scope="module", params=[ALONE, CLUSTERED])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("redis"), request.param) as running:
        yield running


class CrashBetweenSteps(PopularityStore):
    """Dies before the second step."""

    async def count(self, batches: Any) -> None:
        raise StoreUnavailable("the worker died")


class CrashedSessions:
    """Is dead as well."""

    async def note(self, listened: Any, closing: Any) -> None:
        raise StoreUnavailable("the worker died")


class Installation:
    """The stores under test beside the oracle, fed with the same deliveries."""

    def __init__(self, connection: Any, settings: Settings) -> None:
        self.persons = PersonStore(connection, settings)
        self.popularity = PopularityStore(connection, settings)
        self.sessions = SessionStore(connection, settings)
        self.effects = ListeningEffects(self.persons, self.popularity, self.sessions)
        self.crashing = ListeningEffects(self.persons, CrashBetweenSteps(connection, settings), CrashedSessions())
        self.oracle = Oracle(settings.person_heard_max, settings.person_rated_max)
        self._half_life_ms = settings.popularity_half_life_days * DAY_MS

    async def deliver(self, batch: Batch) -> None:
        assert not await self.effects.apply(batch)
        for one in batch:
            self.oracle.step_one(one)
        for one in batch:
            self.oracle.step_two(one)

    async def deliver_and_crash(self, batch: Batch) -> None:
        if not batch:
            return
        with pytest.raises(StoreUnavailable):
            await self.crashing.apply(batch)
        for one in batch:
            self.oracle.step_one(one)

    async def check(self) -> None:
        """Everything that can be read is what the oracle says."""
        for user_id, expected in self.oracle.persons.items():
            assert await self.persons.person_report(user_id) == expected.report(user_id)
            anchors = (await self.persons.read(user_id)).anchors
            assert [(one.track_id, one.weight, one.at_ms) for one in anchors] == expected.anchor_list()
        assert await self.closed() == {
            user_id: hearings for user_id, one in self.oracle.persons.items() if (hearings := heard(one.closed))
        }
        found = dict(await self.popularity.popular(1_000, now_ms=NOW_MS))
        assert found == pytest.approx(self.oracle.popular(self._half_life_ms, NOW_MS))

    async def closed(self) -> dict[str, list[list[tuple[str, str]]]]:
        """Kind and track of what was heard in the closed sessions of everybody who is to be looked at at once."""
        found: dict[str, dict[str, list[tuple[str, str]]]] = {}
        for partition in range(PARTITIONS):
            claim = await self.sessions.claim(partition, silent=False)
            for one in await self.sessions.close(claim, silent=False):
                if one.session is not None:
                    hearings = sorted(
                        ("skip" if track.skipped else "play", track.track_id) for track in one.session.tracks
                    )
                    found.setdefault(one.user_id, {})[one.session.session_id] = hearings
        return {user_id: sorted(sessions.values()) for user_id, sessions in found.items()}


def heard(sessions: Sequence[Sequence[Listen]]) -> list[list[tuple[str, str]]]:
    """Kind and track of what was heard in sessions, for those in which something was."""
    plain = [
        sorted((one.kind, one.track_id or "") for one in session if one.kind in ("play", "skip"))
        for session in sessions
    ]
    return sorted(one for one in plain if one)


@st.composite
def listens(draw: st.DrawFn) -> Listen:
    """Events of few people about few tracks, with few event ids, on clocks that are wrong."""
    kind: Any = draw(st.sampled_from(KINDS))
    subject = draw(st.sampled_from(["a", "b", "c", "{", "ü\n", "x}:\0"]))
    return Listen(
        event_id=draw(st.sampled_from("0123456789")) + draw(st.sampled_from(["", "x", "y", "z"])),
        user_id=draw(st.sampled_from(["u", "{u}", "%7Bu%7D"])),
        kind=kind,
        occurred_at_ms=draw(st.one_of(st.sampled_from([0, 253_402_300_799_999]), st.integers(NOW_MS, NOW_MS + 9))),
        track_id=None if kind in ARTIST_KINDS else subject,
        artist_id=subject if kind in ARTIST_KINDS else None,
        played_ms=draw(st.one_of(st.none(), st.sampled_from([0, 29_999, 30_000, 60_000, 120_000]))),
        duration_ms=draw(st.sampled_from([None, 0, 120_000])),
    )


@st.composite
def logs_and_deliveries(
    draw: st.DrawFn,
) -> Plan:
    """Two partitions, and what is delivered: windows that skip nothing, some of them cut off between the steps."""
    logs = [
        [
            Received("listening.events", partition, offset, NOW_MS, None, (), event)
            for offset, event in enumerate(draw(st.lists(listens(), max_size=25)))
        ]
        for partition in range(PARTITIONS)
    ]
    done = [0] * PARTITIONS
    deliveries = []
    for _ in range(draw(st.integers(0, 6))):
        windows = []
        crashes = draw(st.booleans())
        for partition, log in enumerate(logs):
            start = draw(st.integers(0, done[partition]))
            stop = draw(st.integers(start, len(log)))
            windows.append((start, stop))
            done[partition] = done[partition] if crashes else max(done[partition], stop)
        deliveries.append((windows, crashes))
    deliveries.append(([(start, len(log)) for start, log in zip(done, logs, strict=True)], False))
    return logs, deliveries


@given(logs_and_deliveries())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_any_redelivery_after_any_crash_leaves_exactly_what_one_delivery_would(
    server: Server,
    plan: Plan,
) -> None:
    logs, deliveries = plan
    chosen = server.settings(person_heard_max=4, person_rated_max=3, partitions=PARTITIONS)
    async with server.connected(chosen) as connection:
        installation = Installation(connection, chosen)
        for windows, crashes in deliveries:
            batch = [one for log, (start, stop) in zip(logs, windows, strict=True) for one in log[start:stop]]
            await (installation.deliver_and_crash if crashes else installation.deliver)(batch)
        await installation.check()
        last = {partition: len(log) - 1 for partition, log in enumerate(logs) if log}
        assert await installation.popularity.watermark(PARTITIONS) == last


def long_log(events: int, *, tracks: int, event_ids: int) -> list[Received[Listen]]:
    rng = random.Random(20)
    log = []
    for offset in range(events):
        kind: Any = rng.choice(KINDS)
        event = Listen(
            event_id=str(rng.randrange(event_ids)),
            user_id=rng.choice(["even", "odd"]),
            kind=kind,
            occurred_at_ms=NOW_MS - rng.randrange(400),
            track_id=f"track {rng.randrange(tracks)}",
            artist_id=f"artist {rng.randrange(tracks)}",
            played_ms=rng.choice([None, 5_000, 200_000]),
            duration_ms=rng.choice([None, 200_000]),
        )
        log.append(Received("listening.events", 0, offset, NOW_MS, None, (), event))
    return log


async def test_long_lives_are_forgotten_from_their_oldest_end(server: Server) -> None:
    chosen = server.settings(person_heard_max=50, person_rated_max=20, partitions=1)
    log = long_log(6_000, tracks=400, event_ids=900)
    async with server.connected(chosen) as connection:
        installation = Installation(connection, chosen)
        for start in range(0, len(log), 300):
            await installation.deliver(log[max(0, start - 100) : start + 300])
        await installation.check()
        assert {len(one.anchor_list()) for one in installation.oracle.persons.values()} == {64}


async def test_a_batch_larger_than_the_memory_for_event_ids_counts_once_after_a_crash(server: Server) -> None:
    chosen = server.settings(partitions=1)
    log = [one for one in long_log(1_500, tracks=30, event_ids=10**9) if one.record and one.record.user_id == "even"]
    async with server.connected(chosen) as connection:
        installation = Installation(connection, chosen)
        await installation.deliver(log[:200])
        await installation.deliver_and_crash(log[200:])
        await installation.deliver(log)
        await installation.check()


async def test_a_batch_in_which_the_log_begins_again_counts_once(server: Server) -> None:
    """After a rebalance what was read before and what is read again can come together."""
    chosen = server.settings(partitions=1)
    log = long_log(90, tracks=5, event_ids=10**9)
    async with server.connected(chosen) as connection:
        installation = Installation(connection, chosen)
        await installation.deliver([*log[:90], *log[20:60]])
        await installation.check()
        assert await installation.popularity.watermark(1) == {0: 89}


async def test_an_event_id_counts_again_only_once_two_hundred_others_have_counted(server: Server) -> None:
    chosen = server.settings(partitions=1)
    names = ["again", *(f"other {n}" for n in range(199)), "again", "one more", "again"]
    log = [
        Received("listening.events", 0, offset, NOW_MS, None, (), listen(event_id=name))
        for offset, name in enumerate(names)
    ]
    async with server.connected(chosen) as connection:
        installation = Installation(connection, chosen)
        await installation.deliver(log)
        # `again`, the 199 others, `one more`, and `again`, of which 200 others had counted since.
        assert (await installation.persons.person_report("u"))["events_counted"] == 202
        await installation.check()


async def test_a_worker_that_slept_while_another_went_on_changes_nothing(server: Server) -> None:
    chosen = server.settings(partitions=1)
    log = [one for one in long_log(900, tracks=30, event_ids=10**9) if one.record and one.record.user_id == "odd"]
    async with server.connected(chosen) as connection:
        installation = Installation(connection, chosen)
        await installation.deliver_and_crash(log[:100])
        await installation.deliver(log)
        await installation.deliver(log[:100])
        await installation.check()


async def test_effects_of_nothing_are_nothing(server: Server) -> None:
    chosen = server.settings()
    async with server.connected(chosen) as connection:
        installation = Installation(connection, chosen)
        await installation.deliver([])
        assert await installation.popularity.watermark(4) == {}


def listen(**fields: Any) -> Listen:
    plain: dict[str, Any] = {"user_id": "u", "track_id": "t", "kind": "play", "occurred_at_ms": NOW_MS}
    return Listen(**{**plain, **fields})
