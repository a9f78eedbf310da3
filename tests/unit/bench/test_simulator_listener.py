"""The listener does what the stated probabilities say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.simulator.listener import (
    State,
    Taste,
    affinities,
    begin_session,
    best_list,
    completion,
    draw_taste,
    respond,
)
from bench.simulator.world import World


def world(count: int = 5) -> World:
    """Tracks around a circle: `n` at 30 n degrees, each by its own artist but the last two."""
    angles = np.radians(30 * np.arange(count))
    artists = np.arange(count)
    artists[-1] = artists[-2]
    return World(
        track_ids=[f"t{n}" for n in range(count)],
        places=np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        energy=np.linspace(0, 1, count).astype(np.float32),
        artists=artists,
        durations_ms=np.full(count, 200_000),
        playlists=[np.arange(count)],
    )


EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
TASTE = Taste(np.stack([EAST, NORTH]), np.stack([-EAST, NORTH]), np.array([0.75, 0.25]), 0.5, drifts_at=3)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_affinity_is_to_the_session_s_pocket_or_less_to_another() -> None:
    found = affinities(world(), TASTE, State(0, 0, "working"), slice(None))
    # At 90 degrees the own pocket is at right angles, the other one there: 0.6 of 1.
    assert found == pytest.approx(
        [1, math.cos(math.pi / 6), max(0.5, 0.6 * math.sin(math.pi / 3)), 0.6, 0.6 * 0.866], abs=1e-3
    )


def test_completion_is_the_stated_sum() -> None:
    state = State(0, 0, "working", heard={0}, artists=[1, 3, 3])
    found = completion(world(), TASTE, state, [0, 3], [0, 5])
    near = 7 * (1 - 0.45) + 1 * (1 - 0.45 - 0.5) - 0.7
    # The artist of track 3 was heard last, once before, and 0.64 is left of the artist of track 1.
    far = 7 * (0.6 - 0.45) + (1 - 0.3 - 0.5) - 0.5 * (1 + 0.8) - 0.03 * 5
    assert found == pytest.approx([sigmoid(near), sigmoid(far)], abs=1e-6)


def test_what_is_done_has_the_stated_frequencies() -> None:
    rng, state = np.random.default_rng(5), State(0, 0, "working")
    chance = float(completion(world(), TASTE, state, [2], [0])[0])
    found = [respond(world(), TASTE, State(0, 0, "working"), 2, 0, rng) for _ in range(6_000)]
    completed = [one for one in found if one.completed]
    # Four standard errors of each.
    assert len(completed) / len(found) == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / 6_000))
    shares = [one.share for one in found if not one.completed]
    assert np.mean(shares) == pytest.approx(0.2, abs=4 * 0.163 / math.sqrt(len(shares)))
    affinity = float(affinities(world(), TASTE, state, [2])[0])
    expected = 0.15 * affinity
    liked = np.mean([one.liked for one in completed])
    assert liked == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / len(completed)))
    assert not any(one.liked for one in found if not one.completed)


def test_a_track_that_was_met_counts_as_heard_and_tires() -> None:
    state = State(0, 0, "working")
    before = completion(world(), TASTE, state, [3, 4])
    respond(world(), TASTE, state, 3, 0, np.random.default_rng(1))
    after = completion(world(), TASTE, state, [3, 4])
    assert (state.heard, state.artists) == ({3}, [3])
    logit = np.log(after / (1 - after)) - np.log(before / (1 - before))
    # Both are by its artist, and the track itself was heard.
    assert logit == pytest.approx([-0.5 - 0.7, -0.5])


def test_taste_drifts_when_it_is_said_to() -> None:
    before, after = (affinities(world(), TASTE, State(at, 0, "working"), [0])[0] for at in (2, 3))
    assert (before, after) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-6))


def test_the_same_draws_whatever_happens() -> None:
    """Policies are compared on the same luck."""
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    respond(world(), TASTE, State(0, 0, "working"), 0, 0, one)
    respond(world(), replace(TASTE, pockets=-TASTE.pockets), State(0, 0, "working"), 4, 9, other)
    assert one.random() == other.random()


def test_sessions_are_in_pockets_by_their_weights() -> None:
    rng, state = np.random.default_rng(2), State(0, 0, "running", heard={1}, artists=[1])
    sessions = [begin_session(TASTE, state, 1, rng) for _ in range(4_000)]
    assert np.mean([one.pocket == 0 for one in sessions]) == pytest.approx(0.75, abs=0.03)
    assert all(one.heard == {1} and one.artists == [] for one in sessions)


def test_oracle_takes_the_likeliest_with_two_of_an_artist() -> None:
    assert best_list(world(), TASTE, State(0, 0, "working"), 2) == [0, 1]
    many = replace(world(), artists=np.zeros(5, np.int64))
    assert best_list(many, TASTE, State(0, 0, "working"), 4) == [0, 1]


def test_drawn_tastes_are_whole() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        taste = draw_taste(world(12), rng, 5)
        assert 2 <= len(taste.pockets) <= 4
        assert np.linalg.norm(taste.pockets, axis=1) == pytest.approx(1, abs=1e-5)
        assert taste.weights.sum() == pytest.approx(1)
        changed = (taste.pockets != taste.drifted).any(axis=1)
        assert changed.sum() <= 1
