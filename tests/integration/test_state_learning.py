"""Answers and reactions meet in any order, each counts once, and what was learnt survives damage."""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import msgspec
import numpy as np
import pytest

from models.bandit import posterior_of
from models.errors import EvidenceDamaged
from models.learnt import Learnt, decode_learnt
from models.skip_weights import SkipWeights
from models.skips import OnlineSkips
from recall.blends import BALANCED
from recall.ranking_features import PRIOR, SIZE, SKIP_SIZE, VERSION, skip_rows
from streams.agents.learning import LearningEffects
from streams.delivery import Received
from streams.errors import StoreUnavailable, UnknownRanking
from streams.ranking import LIVE_POLICY, RankingBoard
from streams.settings import Settings
from streams.state.connection import RedisConnection
from streams.state.discoveries import DiscoveryStore
from streams.state.evidence import EvidenceReader, EvidenceWriter
from streams.state.feedback import REACTIONS_MAX, FeedbackStore, Lesson
from streams.state.persons import PersonStore
from streams.state.rankings import RankingStore, version_name
from tests.integration.state_server import CLUSTERED, Server, running_server
from topics.records import Listen, RecommendationRequest, Served, ServedItem

HOUR = 3_600_000
NOW = 1_790_000_000_000
E, S = "listening.events", "recommendation.served"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("redis"), CLUSTERED) as running:
        yield running


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[RedisConnection]:
    async with server.connected() as connection:
        yield connection


class Unguarded:
    async def watch(self, lessons: Sequence[Lesson]) -> None:
        pass


@dataclass
class Learner:
    """The effects on an installation; `again()` is a worker that starts with nothing in its memory."""

    redis: RedisConnection
    settings: Settings

    def __post_init__(self) -> None:
        feedback, discoveries = FeedbackStore(self.redis, self.settings), DiscoveryStore(self.redis, self.settings)
        self.evidence = EvidenceWriter(self.redis, self.settings)
        self.effects = LearningEffects(feedback, discoveries, self.evidence, Unguarded())

    def again(self) -> Learner:
        return Learner(self.redis, self.settings)

    async def take(self, *records: Received[Any]) -> None:
        """One batch a record."""
        for one in records:
            await (self.effects.apply_served if one.topic == S else self.effects.apply_events)([one])

    async def sums(self) -> tuple[float, float, np.ndarray]:
        """Impressions, reward and moment over all partitions, not decayed: all is of one time."""
        worths = [(one.evidence, one.evidence.worth(NOW)) for one in (await self.learnt()).values()]
        return (
            sum(one.count * worth for one, worth in worths),
            sum(one.total * worth for one, worth in worths),
            sum((one.moment * worth for one, worth in worths), np.zeros(SIZE)),
        )

    async def learnt(self) -> dict[str, Learnt]:
        """By source."""
        return dict(await EvidenceReader(self.redis, self.settings).changed() or {})

    async def tries(self) -> dict[str, tuple[float, float]]:
        """Place of a blend -> tries and welcome ones, over all partitions."""
        found: dict[str, tuple[float, float]] = {}
        for one in (await self.learnt()).values():
            for place, tries in one.tries.items():
                before = found.get(place, (0.0, 0.0))
                found[place] = before[0] + tries.tried, before[1] + tries.glad
        return found


@pytest.fixture
def learner(server: Server, redis: RedisConnection) -> Learner:
    return Learner(redis, server.settings(learning_window_hours=24.0))


def row(number: int) -> tuple[float, ...]:
    return tuple(np.round(np.sin(np.arange(SIZE) + number), 4).tolist())


def shown(
    *tracks: str, request: str = "r", offset: int = 0, partition: int = 0, at: int = NOW, **more: Any
) -> Received[Served]:
    explored = more.pop("explored", ())
    version, features = more.pop("version", VERSION), more.pop("features", None)
    items = tuple(
        ServedItem(
            track_id=track,
            position=place,
            explored=place in explored,
            propensity=None,
            features=row(place) if features is None else features,
            feature_names_version=version,
        )
        for place, track in enumerate(tracks)
    )
    record = Served(
        request_id=request, user_id="u", surface="radio", served_at_ms=NOW, policy_version="live", items=items, **more
    )
    return Received(S, partition, offset, at, b"u", (), record)


def event(
    kind: str, track: str, offset: int, *, request: str | None = "r", partition: int = 0, at: int = NOW, **more: Any
) -> Received[Listen]:
    event_id = more.pop("event_id", uuid.uuid4().hex)
    about = {"artist_id": track} if kind.endswith("artist") else {"track_id": track}
    record = Listen(event_id=event_id, user_id="u", kind=kind, occurred_at_ms=NOW, request_id=request, **about, **more)
    return Received(E, partition, offset, at, b"u", (), record)


PLAY, SKIP, LIKE = event("play", "a", 10), event("skip", "b", 11), event("like", "a", 12)
# By hand: a earned 1 + 2 at position 0, b -0.5 at position 1; c nothing, and nobody knows whether it was seen.
EARNED = (2.0, 2.5, 3 * np.array(row(0)) - 0.5 * np.array(row(1)))


def close(found: tuple[float, float, np.ndarray], expected: tuple[float, float, np.ndarray] = EARNED) -> bool:
    return all(np.allclose(one, other, atol=1e-9) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("place", range(4))
async def test_the_answer_s_record_may_come_at_any_time(learner: Learner, place: int) -> None:
    arrivals: list[Received[Any]] = [PLAY, SKIP, LIKE]
    arrivals.insert(place, shown("a", "b", "c", offset=5))
    await learner.take(*arrivals)
    assert close(await learner.sums())


async def test_reactions_in_any_order_teach_the_same(server: Server, redis: RedisConnection) -> None:
    for events in permutations([("play", "a"), ("skip", "b"), ("like", "a")]):
        learner = Learner(redis, server.settings())
        await learner.take(shown("a", "b", "c"), *(event(kind, name, at) for at, (kind, name) in enumerate(events)))
        assert close(await learner.sums())


async def test_each_record_twice_and_each_event_again_at_another_place_count_once(learner: Learner) -> None:
    arrivals = [PLAY, shown("a", "b", "c", offset=5), SKIP, LIKE]
    for worker in (learner, learner, learner.again()):
        for one in arrivals:
            await worker.take(one, one)
    for offset, early_or_late in enumerate((PLAY, LIKE), 43):
        assert early_or_late.record is not None
        await learner.take(event(early_or_late.record.kind, "a", offset, event_id=early_or_late.record.event_id))
    await learner.take(shown("x", "y", offset=41), shown("a", "b", "c", offset=42, partition=1))
    assert close(await learner.sums())


async def test_one_batch_of_everything_is_as_good_as_one_by_one(learner: Learner) -> None:
    await learner.effects.apply_served([shown("a", "b", "c"), shown("a", "b", request="r2", offset=1)])
    others = [event("play", "b", 13, request="r2"), event("skip", "b", 14, request="r2", partition=3)]
    await learner.effects.apply_events([PLAY, SKIP, LIKE, *others])
    count, total, moment = await learner.sums()
    assert (count, total) == (3, pytest.approx(3.5))
    assert moment == pytest.approx(EARNED[2] + np.array(row(1)))


class Dying:
    """An evidence store that dies instead of learning, once the first steps are taken."""

    async def learn(self, lessons: Sequence[Lesson]) -> list[Lesson]:
        raise StoreUnavailable("died")


@pytest.mark.parametrize("dies_at", range(4))
async def test_a_worker_that_dies_between_the_steps_loses_nothing_and_counts_nothing_twice(
    server: Server, redis: RedisConnection, dies_at: int
) -> None:
    learner = Learner(redis, server.settings())
    arrivals: list[Received[Any]] = [PLAY, shown("a", "b", "c", offset=5, explored=(0,)), SKIP, LIKE]
    await learner.take(*arrivals[:dies_at])
    dead = Learner(redis, learner.settings)
    dead.effects._evidence = Dying()  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable):
        await dead.take(arrivals[dies_at])
    # Meanwhile what other partitions bring goes on, and then all of it comes again.
    await learner.again().take(*(one for one in arrivals[dies_at + 1 :] if one.topic != arrivals[dies_at].topic))
    await learner.again().take(*arrivals)
    assert close(await learner.sums())
    person, _ = await PersonStore(redis, learner.settings).read_for_answer("u", 0)
    assert (person.explored, person.explored_gladly) == (1, 1)


async def test_what_belongs_to_nothing_that_was_shown_teaches_nothing(learner: Learner) -> None:
    await learner.take(shown("a", "b", "c"))
    await learner.take(
        event("play", "a", 1, request="unknown"),
        event("play", "elsewhere", 2),
        event("follow_artist", "x", 3),
        event("play", "a", 4, request=None),
    )
    assert (await learner.sums())[0] == 0


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        (NOW + 24 * HOUR, True),
        (NOW + 24 * HOUR + 1, False),
        (NOW + 365 * 24 * HOUR, False),
        (NOW - HOUR, True),
        (NOW - 2 * HOUR, False),
        (0, False),
    ],
)
async def test_a_reaction_counts_within_the_window_whichever_comes_first(
    server: Server, redis: RedisConnection, at: int, counts: bool
) -> None:
    for order in (0, 1):
        learner = Learner(redis, server.settings(learning_window_hours=24.0))
        records: list[Received[Any]] = [shown("a"), event("play", "a", 1, at=at)]
        await learner.take(*records[:: 1 if order else -1])
        assert (await learner.sums())[0] == (1 if counts else 0)


async def test_features_of_another_version_or_length_teach_nothing(learner: Learner) -> None:
    await learner.take(shown("a", version="2"), shown("a", request="r2", features=(1.0, 2.0)), PLAY)
    await learner.take(event("play", "a", 13, request="r2"))
    assert (await learner.sums())[0] == 0


async def test_requests_that_wait_are_bounded_and_so_are_reactions(server: Server, redis: RedisConnection) -> None:
    settings = server.settings(learning_requests_max=3)
    learner = Learner(redis, settings)
    await learner.take(*(shown("a", request=f"r{number}", offset=number) for number in range(5)))
    await learner.take(*(event("play", "a", number, request=f"r{number}") for number in range(5)))
    assert (await learner.sums())[0] == 3
    learner = Learner(redis, server.settings())
    flood = [event("skip", "a", at) for at in range(REACTIONS_MAX + 50)]
    await learner.effects.apply_events(flood)
    await learner.effects.apply_events([event("like", "a", 1000)])
    await learner.take(shown("a"))
    assert (await learner.sums())[1] == -0.5
    (keys,) = await redis.run([(b"KEYS", f"{learner.settings.topic_prefix}.feedback*")])
    (fields,) = await redis.run([(b"HLEN", keys[0])])
    assert fields <= 2 * REACTIONS_MAX + 4
    (left_ms,) = await redis.run([(b"PTTL", keys[0])])
    assert 0 < left_ms <= 48 * HOUR


async def test_two_workers_that_both_believe_to_have_a_partition_count_nothing_twice(learner: Learner) -> None:
    one, other = learner, learner.again()
    await one.take(shown("a", "b", "c"), PLAY)
    await other.take(SKIP)
    with pytest.raises(StoreUnavailable):
        await one.take(LIKE)
    await one.take(LIKE)
    assert close(await learner.sums())


async def test_a_posterior_that_is_damaged_is_refused_and_the_last_good_one_serves(
    server: Server, redis: RedisConnection
) -> None:
    settings = server.settings()
    learner = Learner(redis, settings)
    await learner.take(shown("a", "b", "c"), PLAY)
    board = RankingBoard(EvidenceReader(redis, settings), RankingStore(redis, settings), settings)
    await board.refresh()
    good = board.policy()
    assert good.version == LIVE_POLICY
    assert np.abs(good.posterior.mean - PRIOR.mean).max() > 0.005
    (key,) = (await redis.run([(b"KEYS", f"{settings.topic_prefix}.evidence-{VERSION}:*")]))[0]
    (value,) = await redis.run([(b"GET", key)])
    for damaged in (b"", b"x", value[:-1], bytes([value[0] ^ 64]) + value[1:], value[:60] + b"\xff" + value[61:]):
        await redis.run([(b"SET", key, damaged)])
        await board.refresh()
        assert board.policy().posterior.mean == pytest.approx(good.posterior.mean)
        # One that has just started has the copy.
        fresh = RankingBoard(EvidenceReader(redis, settings), RankingStore(redis, settings), settings)
        await fresh.refresh()
        assert fresh.policy().posterior.mean == pytest.approx(good.posterior.mean)
    # A worker that starts learns on from the copy, and then it is whole again.
    await learner.again().take(SKIP, LIKE)
    assert close(await learner.sums())
    await board.refresh()
    assert board.policy().posterior.count == pytest.approx(2 * good.posterior.count, rel=0.01)


async def test_a_board_follows_what_is_learnt_and_which_version_serves(server: Server, redis: RedisConnection) -> None:
    settings = server.settings()
    learner, versions = Learner(redis, settings), RankingStore(redis, settings)
    board = RankingBoard(EvidenceReader(redis, settings), versions, settings)
    await board.refresh()
    assert (board.policy().version, board.policy().explores) == (LIVE_POLICY, 1.0)
    assert board.policy().posterior.mean == pytest.approx(PRIOR.mean)
    await learner.take(shown("a", "b", "c"), PLAY)
    await board.refresh()
    first = board.policy().posterior
    await versions.keep("20260101-000000", first)
    await learner.take(SKIP, LIKE)
    await board.refresh()
    assert np.abs(board.policy().posterior.mean - first.mean).max() > 0.01
    await versions.serve("20260101-000000", "asked for")
    await board.refresh()
    assert board.policy().version == "20260101-000000"
    assert board.policy().posterior.mean == pytest.approx(first.mean)
    await versions.serve("prior", "asked for")
    await board.refresh()
    assert board.policy().posterior.mean == pytest.approx(PRIOR.mean)
    halves = msgspec.structs.replace(settings, ranking_b="live", ranking_b_share=0.25)
    both = RankingBoard(EvidenceReader(redis, settings), versions, halves)
    await both.refresh()
    served = [both.policy(f"u{n}").version for n in range(1_000)]
    assert 190 < served.count(LIVE_POLICY) < 310
    assert served.count("prior") == 1_000 - served.count(LIVE_POLICY)
    assert served == [both.policy(f"u{n}").version for n in range(1_000)]
    assert both.policy(None).version == "prior"
    off = RankingBoard(EvidenceReader(redis, settings), versions, Settings(ranking="off"))
    await off.refresh()
    assert (off.policy().version, off.policy().explores) == ("off", 0)


async def test_versions_go_forward_and_back(server: Server, redis: RedisConnection) -> None:
    versions = RankingStore(redis, server.settings())
    some = posterior_of(PRIOR, [], now_ms=0)
    assert (await versions.serving()).version == "live"
    assert await versions.keep("20260101-000000", some)
    assert not await versions.keep("20260101-000000", some)
    await versions.keep("20260102-000000", some)
    assert await versions.names() == ["live", "20260102-000000", "20260101-000000", "prior"]
    assert (await versions.roll_back("bad")).version == "20260102-000000"
    await versions.serve("live", "again")
    await versions.serve("20260101-000000", "better")
    assert (await versions.roll_back("worse")).version == "live"
    history = await versions.history()
    assert [(one.version, one.because) for one in history[:2]] == [("live", "worse"), ("20260101-000000", "better")]
    with pytest.raises(UnknownRanking, match="20260102-000000"):
        await versions.serve("20250101-000000", "never was")
    assert (await versions.serving()).version == "live"


async def test_a_rollback_in_time_takes_the_last_version_from_before(server: Server, redis: RedisConnection) -> None:
    versions = RankingStore(redis, server.settings())
    for hour in range(4):
        await versions.keep(version_name(NOW + hour * HOUR), posterior_of(PRIOR, [], now_ms=0))
    found = await versions.roll_back("fell", before_ms=NOW + 2 * HOUR)
    assert found.version == version_name(NOW + HOUR)
    assert (await versions.roll_back("fell", before_ms=NOW)).version == "prior"


async def test_only_so_many_versions_are_kept_and_the_one_that_serves_always(
    server: Server, redis: RedisConnection
) -> None:
    versions = RankingStore(redis, server.settings())
    some = posterior_of(PRIOR, [], now_ms=0)
    await versions.keep("20250101-000000", some)
    await versions.serve("20250101-000000", "good")
    for day in range(60):
        await versions.keep(version_name(NOW + day * 24 * HOUR), some)
    names = await versions.names()
    assert len(names) == 2 + 48 + 1
    assert "20250101-000000" in names


async def test_a_version_that_is_damaged_never_serves(server: Server, redis: RedisConnection) -> None:
    settings = server.settings()
    versions = RankingStore(redis, settings)
    await versions.keep("20260101-000000", posterior_of(PRIOR, [], now_ms=0))
    await redis.run([(b"HSET", f"{settings.topic_prefix}.ranking-{VERSION}:versions", "20260101-000000", b"rubbish")])
    with pytest.raises(EvidenceDamaged):
        await versions.serve("20260101-000000", "asked for")
    board = RankingBoard(EvidenceReader(redis, settings), versions, settings)
    await board.refresh()
    assert board.policy().version == LIVE_POLICY


async def test_what_is_explored_gladly_is_counted_by_person_and_forgotten_with_them(learner: Learner) -> None:
    await learner.take(shown("a", "b", "c", explored=(0, 1)))
    await learner.take(event("play", "a", 1, played_ms=40_000, duration_ms=200_000))
    persons = PersonStore(learner.redis, learner.settings)
    assert await tried(persons) == (1, 0)
    await learner.take(event("like", "a", 2), event("skip", "b", 3), event("play", "c", 4))
    count, glad = await tried(persons)
    assert (count, glad) == (pytest.approx(1.98), pytest.approx(0.98))
    await persons.forget("u")
    assert await tried(persons) == (0, 0)


async def tried(persons: PersonStore) -> tuple[float, float]:
    person, _ = await persons.read_for_answer("u", 0)
    return person.explored, person.explored_gladly


async def test_another_half_life_goes_on_from_what_was_learnt(server: Server, redis: RedisConnection) -> None:
    settings = server.settings(learning_half_life_days=30.0)
    await Learner(redis, settings).take(shown("a", "b", "c"), PLAY)
    shorter = Settings(redis_url=settings.redis_url, topic_prefix=settings.topic_prefix, learning_half_life_days=1.0)
    await Learner(redis, shorter).take(SKIP)
    (key,) = (await redis.run([(b"KEYS", f"{settings.topic_prefix}.evidence-{VERSION}:*")]))[0]
    (value,) = await redis.run([(b"GET", key)])
    learnt, through = decode_learnt(value, VERSION, SIZE, SKIP_SIZE)
    assert (learnt.evidence.half_life_ms, through) == (24 * HOUR, 11)
    assert math.isfinite(learnt.evidence.count)


SOUND = {"listener": "few", "blend": "by_sound"}


async def test_blends_are_told_apart_by_what_they_earned_each_once(server: Server, redis: RedisConnection) -> None:
    """By hand: of what each blend showed and somebody reacted to, how much was half heard or kept."""
    answers = [
        shown("a", "b", "c", offset=5, **SOUND),
        shown("a", "b", "c", request="r2", offset=6, listener="few", blend=BALANCED, explored=(2,)),
        shown("a", request="r3", offset=7, listener="few", blend="of last year"),
        shown("a", request="r4", offset=8),
    ]
    events = [
        *(PLAY, SKIP, LIKE),
        event("play", "b", 13, request="r2", played_ms=20_000, duration_ms=200_000),
        event("play", "c", 14, request="r2"),
        event("like", "b", 15, request="r2", partition=1),
        *(event("play", "a", offset, request=name) for offset, name in ((16, "r3"), (17, "r4"))),
    ]
    for arrivals in ([*answers, *events], [*events, *answers]):
        learner = Learner(redis, server.settings())
        for worker in (learner, learner.again(), learner):
            await worker.take(*arrivals)
        # r: a was heard and liked, b skipped. r2: b was left early and liked later; c was explored.
        assert await learner.tries() == {"radio/few/by_sound": (2, 1), "radio/few/balanced": (1, 1)}


async def test_a_blend_that_earns_more_is_followed_within_a_look_and_a_replay_changes_nothing(
    server: Server, redis: RedisConnection
) -> None:
    settings = server.settings()
    learner = Learner(redis, settings)
    board = RankingBoard(EvidenceReader(redis, settings), RankingStore(redis, settings), settings)
    await board.refresh()
    asked = [RecommendationRequest(request_id=f"q{n}") for n in range(300)]
    assert {board.policy().blend("radio", "few", one) for one in asked} == {BALANCED}
    tracks = tuple(f"t{n}" for n in range(20))
    for number in range(30):
        blend, kind = (BALANCED, "skip") if number % 2 else ("by_lists", "play")
        answer = shown(*tracks, request=f"r{number}", offset=number, listener="few", blend=blend)
        first = 100 * number
        reactions = [event(kind, one, first + at, request=f"r{number}") for at, one in enumerate(tracks)]
        # Two workers, each with a partition of its own.
        worker = (learner, learner.again())[number % 2]
        await worker.effects.apply_served([answer])
        moved = [replace(one, partition=number % 2) for one in reactions]
        for _ in range(2):
            await worker.effects.apply_events(moved)
    assert await learner.tries() == {"radio/few/balanced": (300, 0), "radio/few/by_lists": (300, 300)}
    await board.refresh()
    drawn = [board.policy().blend("radio", "few", one) for one in asked]
    assert drawn.count("by_lists") > 250
    assert drawn == [board.policy().blend("radio", "few", one) for one in asked]
    assert {board.policy().blend("radio", "many", one) for one in asked} == {BALANCED}
    # What is rolled back, off or asked to stay balanced chooses nothing.
    fixed = msgspec.structs.replace(settings, blends="balanced")
    for other in (fixed, msgspec.structs.replace(settings, ranking="off")):
        still = RankingBoard(EvidenceReader(redis, settings), RankingStore(redis, settings), other)
        await still.refresh()
        assert still.policy().blend("radio", "few", asked[0]) is None
    await RankingStore(redis, settings).serve("prior", "asked for")
    await board.refresh()
    assert board.policy().blend("radio", "few", asked[0]) is None


async def test_skips_are_learnt_as_they_came_each_once_and_reach_the_answers(
    server: Server, redis: RedisConnection
) -> None:
    settings = server.settings()
    learner = Learner(redis, settings)
    events = [
        event("play", "a", 10),
        event("skip", "b", 11, played_ms=4_000, duration_ms=200_000),
        event("like", "b", 12),  # no hearing
        event("play", "b", 13),  # no longer the first
        event("skip", "c", 14, played_ms=150_000, duration_ms=200_000),  # left after its middle
    ]
    arrivals = [shown("a", "b", "c", offset=5), *events]
    for worker in (learner, learner, learner.again()):
        await worker.take(*arrivals)
    online = OnlineSkips(SkipWeights.of_nothing(SKIP_SIZE))
    for place, skipped in enumerate((False, True, False)):
        online.learn(skip_rows(np.array([row(place)]))[0], skipped)
    found = (await learner.learnt())["e0"].skips
    assert found.seen == 3
    assert found.weights == pytest.approx(online.weights(SKIP_SIZE).weights, abs=1e-9)
    board = RankingBoard(EvidenceReader(redis, settings), RankingStore(redis, settings), settings)
    await board.refresh()
    assert board.policy().skips.weights == pytest.approx(found.weights * 3 / 103)
