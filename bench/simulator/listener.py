"""What a simulated listener likes, and what they do, by stated probabilities.

A track is heard to its end with the probability sigmoid(x), where x is the sum of

    STEEP * (affinity - NEED)      affinity: the cosine to the pocket that the session is in, or `ELSEWHERE` times that
                                   to the nearest other pocket, whichever is more
    CONTEXT * (fit - 0.5)          fit: 1 less how far the energy is from what the activity asks for
    -tolerance * same              same: how many of the last `RECENT` tracks are by the artist, fading by FADE a track
    -AGAIN * heard                 heard: 1 when the listener has heard the track before
    -POSITION * place              place: of the track in the list, from 0: attention wanes

Else it is skipped after a share of it drawn from Beta(1, 4), a fifth on average. A track heard to its end is liked with
the probability LIKES * affinity where that is above 0. Pockets are as large as tastes of real playlists: each is the
mean place of some tracks of one. At `drifts_at` of the listener's sessions, the first pocket gives way to a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.simulator.world import Places, World

STEEP, NEED, ELSEWHERE = 7.0, 0.45, 0.6
CONTEXT, AGAIN, POSITION = 1.0, 0.7, 0.03
RECENT, FADE = 10, 0.8
LIKES = 0.15
TRACKS_OF_POCKET = 6
# Activity: the energy that it asks for, and the device and hour that tell of it.
ACTIVITIES = {"running": (0.85, "watch", 7), "working": (0.45, "desktop", 10), "evening": (0.3, "phone", 21)}

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Taste:
    """What a listener is.

    Attributes:
        pockets: (P, D), each of length 1, for the sessions before the drift.
        drifted: the same, after it.
        weights: (P,) how often a session is in each; they sum to 1.
        tolerance: how much the same artist again is disliked, >= 0.
        drifts_at: the first session after the drift.
    """

    pockets: Places
    drifted: Places
    weights: Numbers
    tolerance: float
    drifts_at: int

    def pockets_in(self, session: int) -> Places:
        """The pockets of a session."""
        return self.drifted if session >= self.drifts_at else self.pockets


@dataclass
class State:
    """What a listener is in the middle of.

    Attributes:
        session: which one, from 0.
        pocket: that the session is in.
        activity: a name of `ACTIVITIES`.
        heard: rows of everything that was ever heard.
        artists: of the last tracks, the latest last.
    """

    session: int
    pocket: int
    activity: str
    heard: set[int] = field(default_factory=set)
    artists: list[int] = field(default_factory=list)


class Response(NamedTuple):
    """What was done with one track."""

    completed: bool
    share: float
    liked: bool


def draw_taste(world: World, rng: np.random.Generator, drifts_at: int) -> Taste:
    """Somebody with two to four pockets."""
    count = int(rng.integers(2, 5))
    weights = rng.dirichlet(np.full(count, 2.0))
    pockets = np.stack([draw_pocket(world, rng) for _ in range(count)])
    drifted = pockets.copy()
    drifted[int(weights.argmax())] = draw_pocket(world, rng)
    return Taste(pockets, drifted, weights, float(rng.gamma(2.0, 0.3)), drifts_at)


def draw_pocket(world: World, rng: np.random.Generator) -> NDArray[np.float32]:
    """(D,) the mean place of some tracks of a playlist."""
    rows = world.playlists[int(rng.integers(len(world.playlists)))]
    mean = world.places[rng.choice(rows, min(TRACKS_OF_POCKET, len(rows)), replace=False)].mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def begin_session(taste: Taste, state: State | None, session: int, rng: np.random.Generator) -> State:
    """The next session: its pocket and activity are drawn, what was heard stays."""
    pocket = int(rng.choice(len(taste.weights), p=taste.weights))
    activity = str(rng.choice(sorted(ACTIVITIES)))
    return State(session, pocket, activity, set() if state is None else state.heard, [])


def affinities(world: World, taste: Taste, state: State, rows: Sequence[int] | slice) -> Numbers:
    """(n,) how near tracks are to what the session is about, -1..1."""
    cosines = world.places[rows] @ taste.pockets_in(state.session).T
    own = cosines[:, state.pocket]
    others = np.delete(cosines, state.pocket, axis=1).max(axis=1)
    return np.asarray(np.maximum(own, ELSEWHERE * others), np.float64)


def completion(
    world: World, taste: Taste, state: State, rows: Sequence[int] | slice, places: Sequence[int] | int = 0
) -> Numbers:
    """(n,) how likely tracks at those places of a list are heard to their end now."""
    asked = ACTIVITIES[state.activity][0]
    fit = 1 - np.abs(world.energy[rows] - asked)
    heard = np.zeros(len(world))
    heard[list(state.heard)] = 1
    of_artist = np.zeros(int(world.artists.max()) + 1)
    for age, artist in enumerate(reversed(state.artists[-RECENT:])):
        of_artist[artist] += FADE**age
    x = (
        STEEP * (affinities(world, taste, state, rows) - NEED)
        + CONTEXT * (fit - 0.5)
        - taste.tolerance * of_artist[world.artists[rows]]
        - AGAIN * heard[rows]
        - POSITION * np.asarray(places)
    )
    return np.asarray(1 / (1 + np.exp(-x)), np.float64)


def respond(world: World, taste: Taste, state: State, row: int, place: int, rng: np.random.Generator) -> Response:
    """What is done with a track, which counts as heard from then on; always three numbers are drawn."""
    ends, share, likes = float(rng.random()), float(rng.beta(1, 4)), float(rng.random())
    completed = ends < float(completion(world, taste, state, [row], [place])[0])
    affinity = float(affinities(world, taste, state, [row])[0])
    state.heard.add(row)
    state.artists.append(int(world.artists[row]))
    return Response(completed, 1.0 if completed else share, completed and likes < LIKES * affinity)


def best_list(world: World, taste: Taste, state: State, length: int) -> list[int]:
    """The oracle's list: the tracks most likely heard to their end at its beginning, two of an artist at most."""
    chances = completion(world, taste, state, slice(None))
    of_artist: dict[int, int] = {}
    chosen: list[int] = []
    for row in np.argsort(-chances, kind="stable").tolist():
        artist = int(world.artists[row])
        if of_artist.get(artist, 0) < 2:
            of_artist[artist] = of_artist.get(artist, 0) + 1
            chosen.append(row)
        if len(chosen) == length:
            break
    return chosen
