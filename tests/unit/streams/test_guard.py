"""A fall of the reward is seen, and answered by the ranking of before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from streams.embedded.threads import in_thread
from streams.guard import GuardedRanking, RewardGuard
from streams.ranking import LIVE_POLICY
from streams.state.feedback import Lesson
from streams.state.rankings import Serving


class Versions:
    """Remembers what was asked of it."""

    def __init__(self, serving: str = "live") -> None:
        self.version = serving
        self.rolled_back: list[tuple[str, int | None]] = []
        self.announced: list[str] = []

    async def told(self, version: str) -> None:
        self.announced.append(version)

    async def serving(self) -> Serving:
        return Serving(self.version, 0, "")

    async def roll_back(self, because: str, before_ms: int | None = None) -> Serving:
        self.rolled_back.append((because, before_ms))
        self.version = "earlier"
        return Serving("earlier", 0, because)


def lessons(mean: float, count: int, start: int, policy: str = LIVE_POLICY, **more: bool) -> Iterator[Lesson]:
    rng = np.random.default_rng(start)
    for number in range(count):
        earned = float(np.clip(rng.normal(mean, 0.5), -2.5, 4.5))
        explored, is_new = more.get("explored", False), more.get("is_new", True)
        yield Lesson("e0", start + number, "u", policy, explored, np.zeros(1), earned, 0.0, start + number, is_new)


async def watched(*streams: Iterator[Lesson], serving: str = "live") -> Versions:
    versions = Versions(serving)
    guarded = GuardedRanking(partial(in_thread, RewardGuard), versions, versions.told)  # type: ignore[arg-type]
    for stream in streams:
        await guarded.watch(list(stream))
    return versions


async def test_a_reward_that_falls_rolls_the_ranking_back_to_before_the_fall() -> None:
    versions = await watched(lessons(0.6, 2000, 0), lessons(0.2, 2000, 2000))
    ((because, before_ms),) = versions.rolled_back
    assert "the mean reward fell from 0." in because
    # Rather too early than too late: what is kept of that time must not have learnt the fall.
    assert 0 < (before_ms or 0) <= 2300
    assert versions.announced == ["earlier"]


@pytest.mark.parametrize("seed", range(10))
async def test_a_reward_that_stays_or_rises_rolls_nothing_back(seed: int) -> None:
    start = 100_000 * seed
    assert not (await watched(lessons(0.5, 5000, start))).rolled_back
    assert not (await watched(lessons(0.3, 2000, start), lessons(0.7, 2000, start + 2000))).rolled_back


async def test_only_what_the_learning_ranking_earned_with_its_own_choices_counts() -> None:
    fallen: list[dict[str, object]] = [{"policy": "prior"}, {"explored": True}, {"is_new": False}]
    for more in fallen:
        versions = await watched(lessons(0.6, 2000, 0), lessons(-0.5, 2000, 2000, **more))  # type: ignore[arg-type]
        assert not versions.rolled_back, more


async def test_another_ranking_that_serves_already_is_left_alone() -> None:
    versions = await watched(lessons(0.6, 2000, 0), lessons(0.1, 2000, 2000), serving="prior")
    assert not versions.rolled_back
