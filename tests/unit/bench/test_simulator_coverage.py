"""The intervals of off-policy estimates hold the on-policy truth of simulated listeners as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from bench.simulator.coverage import LEVEL, Situation, answer, covered, expected_reward, reactions, simulated
from bench.simulator.world import World
from models.rewards import reaction_of, reward

RUNS, ANSWERS = 200, 250


@pytest.fixture(scope="module")
def simulation() -> tuple[World, list[Situation]]:
    return simulated()


def test_what_a_track_earns_on_average_is_what_listeners_do_to_it(simulation: tuple[World, list[Situation]]) -> None:
    world, found = simulation
    rng, served = np.random.default_rng(3), answer(found[0], "r")
    earned: dict[str, list[float]] = {one.track_id: [] for one in served.items if one.explored}
    for _ in range(6_000):
        events = reactions(world, found[0], served, rng)
        for track_id, rewards in earned.items():
            said = [reaction_of(one) for one in events if one.track_id == track_id]
            rewards.append(reward(one for one in said if one is not None))
    assert len(earned) == 2
    for item in served.items:
        if item.explored:
            rewards = earned[item.track_id]
            expected = expected_reward(world, found[0], item.track_id, item.position)
            assert np.mean(rewards) == pytest.approx(expected, abs=4 * np.std(rewards) / np.sqrt(len(rewards)))


def test_intervals_hold_the_truth_as_often_as_they_say(simulation: tuple[World, list[Situation]]) -> None:
    found = covered(*simulation, RUNS, ANSWERS)
    off = 3.3 * np.sqrt(LEVEL * (1 - LEVEL) / RUNS)
    for name, told in found.items():
        assert abs(told["held"] / RUNS - LEVEL) < off, (name, told)
        assert abs(told["mean"] - told["truth"]) < 4 * told["sd"] / np.sqrt(RUNS), (name, told)
    # There is something to tell apart: what was logged is no estimate of the other ranking.
    assert found["dr"]["truth"] - found["logged"]["truth"] > found["dr"]["sd"]
