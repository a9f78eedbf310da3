"""What is read about a person, worked by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Any

import pytest

from recall.person import NOBODY, Anchor
from streams.state.connection import Command, RedisConnection
from streams.state.keys import person_keys
from streams.state.persons import PersonStore, Sent, limits
from streams.state.popularity import PartitionPlays, PopularityStore
from streams.state.scripts import script
from tests.integration.state_server import ALONE, Server, running_server
from topics.records import Listen

LAST_TIME_MS = 253_402_300_799_999
LAST_OFFSET = 2**53


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("redis"), ALONE) as running:
        yield running


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[RedisConnection]:
    async with server.connected() as connection:
        yield connection


@pytest.fixture
def persons(server: Server, redis: RedisConnection) -> PersonStore:
    return PersonStore(redis, server.settings())


class Life:
    """Events of one person, each with its own id, at offsets that go up."""

    def __init__(self, persons: PersonStore, user_id: str = "u") -> None:
        self._persons = persons
        self._user_id = user_id
        self._offset = -1

    async def live(self, kind: Any, track_id: str | None = "t", **fields: Any) -> None:
        self._offset += 1
        given: dict[str, Any] = {"event_id": f"e{self._offset}", "occurred_at_ms": self._offset}
        event = Listen(**{**given, **fields}, user_id=self._user_id, kind=kind, track_id=track_id)
        applied = await self._persons.apply({self._user_id: [Sent(0, self._offset, event)]})
        assert applied.counted == {self._user_id: [True]}


async def test_a_report_says_all_that_is_held(persons: PersonStore) -> None:
    life = Life(persons)
    await life.live("play", "t1", duration_ms=200_000, played_ms=150_000, surface="radio", request_id="r")
    await life.live("skip", "t1", occurred_at_ms=99, session_id="s")
    for kind, track_id in [("like", "t2"), ("like", "t1"), ("dislike", "t3"), ("save", "t4")]:
        await life.live(kind, track_id)
    await life.live("block_artist", None, artist_id="a1")
    await life.live("follow_artist", None, artist_id="a2")
    report = await persons.person_report("u")
    session = report.pop("session")
    assert report == {
        "user_id": "u",
        "events_counted": 8,
        "heard": [{"track_id": "t1", "plays": 1, "skips": 1, "last_at_ms": 99}],
        "likes": ["t2", "t1"],
        "dislikes": ["t3"],
        "saves": ["t4"],
        "blocked_artists": ["a1"],
        "followed_artists": ["a2"],
    }
    assert [event["kind"] for event in session] == [
        *("play", "skip", "like", "like", "dislike", "save", "block_artist", "follow_artist")
    ]
    assert session[0] == {
        "event_id": "e0",
        "kind": "play",
        "track_id": "t1",
        "artist_id": None,
        "occurred_at_ms": 0,
        "played_ms": 150_000,
        "duration_ms": 200_000,
        "session_id": None,
        "request_id": "r",
        "surface": "radio",
        "context": None,
    }


async def test_recall_reads_the_person_and_their_session_as_it_travelled(persons: PersonStore) -> None:
    life = Life(persons)
    await life.live("play", "t1", occurred_at_ms=7)
    await life.live("dislike", "t2", occurred_at_ms=3)
    await life.live("follow_artist", None, artist_id="a2")
    await life.live("block_artist", None, artist_id="a1")
    person = await persons.read("u")
    assert person.heard == {"t1": 7}
    assert person.dislikes == {"t2"}
    assert person.followed_artists == ("a2",)
    assert person.blocked_artists == {"a1"}
    assert person.anchors == (Anchor("t1", 1.0, 7),)
    assert person.session[0] == Listen(event_id="e0", user_id="u", kind="play", track_id="t1", occurred_at_ms=7)
    assert [event.kind for event in person.session] == ["play", "dislike", "follow_artist", "block_artist"]


async def test_somebody_unknown_has_done_nothing(persons: PersonStore) -> None:
    person = await persons.read("nobody has this id")
    assert (person.heard, person.likes, person.anchors, person.session) == ({}, frozenset(), (), ())
    report = await persons.person_report("nobody has this id")
    assert report["events_counted"] == 0
    assert report["heard"] == report["session"] == []


@pytest.mark.parametrize(
    ("kinds", "likes", "dislikes"),
    [
        (["like", "dislike"], [], ["t"]),
        (["dislike", "like"], ["t"], []),
        (["like", "unrate"], [], []),
        (["dislike", "unrate"], [], []),
        (["unrate", "like"], ["t"], []),
    ],
)
async def test_the_last_judgement_stands(
    persons: PersonStore, kinds: list[str], likes: list[str], dislikes: list[str]
) -> None:
    life = Life(persons)
    for kind in kinds:
        await life.live(kind)
    report = await persons.person_report("u")
    assert (report["likes"], report["dislikes"]) == (likes, dislikes)


async def test_what_is_done_can_be_undone(persons: PersonStore) -> None:
    life = Life(persons)
    for kind in ("save", "unsave"):
        await life.live(kind)
    for kind in ("block_artist", "unblock_artist", "follow_artist", "unfollow_artist"):
        await life.live(kind, None, artist_id="a")
    report = await persons.person_report("u")
    assert not any(report[name] for name in ("saves", "blocked_artists", "followed_artists"))


async def test_blocking_an_artist_does_not_unfollow(persons: PersonStore) -> None:
    life = Life(persons)
    for kind in ("follow_artist", "block_artist"):
        await life.live(kind, None, artist_id="a")
    report = await persons.person_report("u")
    assert (report["followed_artists"], report["blocked_artists"]) == (["a"], ["a"])


@pytest.mark.parametrize(
    ("kinds", "weight"),
    [
        (["play"], 1.0),
        (["play", "play", "repeat"], 3.5),
        (["play", "skip"], 0.5),
        (["play", "skip", "skip"], None),
        (["skip", "play"], 1.0),
        (["like", "like"], 2.0),
        (["like", "save"], 4.0),
        (["like", "save", "unrate"], 2.0),
        (["save", "unsave"], None),
        (["add_to_playlist"], 2.0),
        (["like", "dislike"], None),
        (["dislike", "play", "save", "add_to_playlist"], None),
        (["dislike", "unrate", "play"], 1.0),
        (["play"] * 12, 8.0),
    ],
)
async def test_an_anchor_weighs_what_was_done_with_its_track(
    persons: PersonStore, kinds: list[str], weight: float | None
) -> None:
    life = Life(persons)
    for kind in kinds:
        await life.live(kind)
    assert [one.weight for one in (await persons.read("u")).anchors] == ([] if weight is None else [weight])


async def test_when_a_track_was_last_heard_never_goes_back(persons: PersonStore) -> None:
    life = Life(persons)
    for at_ms in (500, LAST_TIME_MS, 0):
        await life.live("play", occurred_at_ms=at_ms)
    assert (await persons.read("u")).heard == {"t": LAST_TIME_MS}


async def test_the_least_recently_heard_are_forgotten_first(server: Server, redis: RedisConnection) -> None:
    persons = PersonStore(redis, server.settings(person_heard_max=3))
    life = Life(persons)
    for track_id, at_ms in [("new", 50), ("old", 10), ("newest", 90), ("middle", 30), ("ancient", 1)]:
        await life.live("play", track_id, occurred_at_ms=at_ms)
    report = await persons.person_report("u")
    assert [one["track_id"] for one in report["heard"]] == ["middle", "new", "newest"]
    assert (await persons.read("u")).heard == {"middle": 30, "new": 50, "newest": 90}


async def test_no_more_is_read_than_the_bound_though_an_eighth_more_is_held(
    server: Server, redis: RedisConnection
) -> None:
    persons = PersonStore(redis, server.settings(person_heard_max=8))
    life = Life(persons)
    for track_id in "ihgfedcba":
        await life.live("play", track_id, occurred_at_ms=7)
    report = await persons.person_report("u")
    assert [one["track_id"] for one in report["heard"]] == list("bcdefghi")
    assert (await persons.read("u")).heard == dict.fromkeys("bcdefghi", 7)


async def test_no_number_of_events_makes_a_person_larger_than_the_bounds(
    server: Server, redis: RedisConnection
) -> None:
    persons = PersonStore(redis, server.settings(person_heard_max=40, person_rated_max=16))
    kinds: list[Any] = ["play", "like", "save"]
    sent = [
        Sent(0, offset, Listen(event_id=str(offset), user_id="u", kind=kind, track_id=f"{n}", occurred_at_ms=n))
        for n in range(300)
        for i, kind in enumerate(kinds)
        for offset in (3 * n + i,)
    ]
    for start in range(0, len(sent), 150):
        await persons.apply({"u": sent[start : start + 150]})
    report = await persons.person_report("u")
    assert [one["track_id"] for one in report["heard"]] == [str(n) for n in range(260, 300)]
    assert report["likes"] == report["saves"] == [str(n) for n in range(284, 300)]
    assert len((await persons.read("u")).anchors) == 64
    # Of 900 events, four sessions of 200 are closed.
    assert len(report["session"]) == 100
    assert len((await persons.read("u")).session) == 50


@pytest.mark.parametrize("user_id", ["{", "}", "{}", "a}b{c", "%7B", "ü\n\0:", "日本", "u" * 256])
async def test_any_id_has_a_person_of_its_own(persons: PersonStore, user_id: str) -> None:
    track_id = f"track of {user_id}"
    await Life(persons, user_id).live("like", track_id)
    await Life(persons, user_id + "}").live("like", "another")
    assert (await persons.person_report(user_id))["likes"] == [track_id]
    assert (await persons.read(user_id)).session[0].user_id == user_id


async def test_the_largest_times_and_offsets_are_kept_exactly(server: Server, redis: RedisConnection) -> None:
    settings = server.settings()
    persons, popularity = PersonStore(redis, settings), PopularityStore(redis, settings)
    event = Listen(
        event_id="e",
        user_id="u",
        kind="like",
        track_id="t",
        occurred_at_ms=LAST_TIME_MS,
        played_ms=LAST_TIME_MS,
        duration_ms=LAST_TIME_MS - 1,
    )
    play = Listen(event_id="f", user_id="u", kind="play", track_id="t", occurred_at_ms=LAST_TIME_MS)
    sent = [Sent(9_999, LAST_OFFSET - 1, event), Sent(9_999, LAST_OFFSET, play)]
    assert (await persons.apply({"u": sent})).counted == {"u": [True, True]}
    assert (await persons.apply({"u": sent})).counted == {"u": [True, True]}
    again = [Sent(9_999, LAST_OFFSET - 2, event), Sent(9_998, LAST_OFFSET, event)]
    assert (await persons.apply({"u": again})).counted == {"u": [False, False]}
    person = await persons.read("u")
    assert person.heard == {"t": LAST_TIME_MS}
    assert person.anchors == (Anchor("t", 3.0, LAST_TIME_MS),)
    assert (person.session[0].played_ms, person.session[0].duration_ms) == (LAST_TIME_MS, LAST_TIME_MS - 1)
    await popularity.count([PartitionPlays(0, LAST_OFFSET - 1, [])])
    assert await popularity.watermark(1) == {0: LAST_OFFSET - 1}


async def test_offsets_of_fifteen_digits_are_told_apart(persons: PersonStore) -> None:
    """Lua writes 100000000000007 as 1.0000000000001e+14 unless told otherwise, which is beyond the next offset."""
    for offset in (10**14 + 7, 10**14 + 8):
        event = Listen(event_id=f"{offset}", user_id="u", kind="play", track_id="t", occurred_at_ms=0)
        assert (await persons.apply({"u": [Sent(0, offset, event)]})).counted == {"u": [True]}
    assert (await persons.person_report("u"))["heard"][0]["plays"] == 2


async def test_remembered_event_ids_take_no_more_room_than_they_need(server: Server, redis: RedisConnection) -> None:
    settings = server.settings()
    life = Life(PersonStore(redis, settings))
    for _ in range(201):
        await life.live("play")
    (used,) = await redis.run([("MEMORY", "USAGE", f"{settings.topic_prefix}.person:{{u}}:recent")])
    assert used < 200 * (8 + 10) + 200


async def test_an_answer_reads_the_person_and_how_far_events_have_counted(
    server: Server, redis: RedisConnection
) -> None:
    settings = server.settings()
    persons, popularity = PersonStore(redis, settings), PopularityStore(redis, settings)
    await Life(persons).live("play", "t1")
    await popularity.count([PartitionPlays(0, 0, []), PartitionPlays(2, 41, [])])
    person, watermark = await persons.read_for_answer("u", 4)
    assert person.heard == {"t1": 0}
    assert watermark == {0: 0, 2: 41}
    assert await persons.read_for_answer(None, 4) == (NOBODY, {0: 0, 2: 41})
    assert await persons.read_for_answer(None, 0) == (NOBODY, {})


async def test_installations_share_nothing(server: Server, redis: RedisConnection) -> None:
    ours, theirs = PersonStore(redis, server.settings()), PersonStore(redis, server.settings())
    await Life(ours).live("like")
    assert (await theirs.person_report("u"))["likes"] == []


async def test_nothing_is_left_of_a_person_who_is_forgotten(server: Server, redis: RedisConnection) -> None:
    settings = server.settings()
    persons = PersonStore(redis, settings)
    for user_id in ("leaves", "stays"):
        life = Life(persons, user_id)
        for kind in ("play", "like", "save", "dislike"):
            await life.live(kind, kind)
        for kind in ("block_artist", "follow_artist"):
            await life.live(kind, None, artist_id="a")
    await persons.forget("leaves")
    (keys,) = await redis.run([("KEYS", f"{settings.topic_prefix}.*")])
    assert {key.split(b"{")[1].split(b"}")[0] for key in keys} == {b"stays"}
    assert (await persons.person_report("stays"))["events_counted"] == 6


async def test_an_id_that_lies_across_two_remembered_ones_is_new(server: Server, redis: RedisConnection) -> None:
    """Ids are kept as 8 bytes each, followed by where they were counted: zeros, for offset 0 of partition 0."""
    persons = PersonStore(redis, server.settings())
    await Life(persons).live("play")
    names = (b"abcdefgh", b"efgh\0\0\0\0", b"abcdefgh")
    events: list[Command] = [(0, offset, name, "play", "t", 1, "1.0", b"") for offset, name in enumerate(names)]
    forgetful = limits(server.settings())
    keys = person_keys("", "another")
    assert await redis.run([("EVALSHA", script("person").sha, len(keys), *keys, forgetful, *chain(*events))]) == [
        b"110"
    ]
