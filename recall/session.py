"""What a listener just did, and how it moves tracks: near what was finished rises, near what was skipped sinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.bandit import Array
from recall.atmosphere import UNKNOWN, Atmosphere, atmosphere, gains
from recall.fatigue import FRESH, Fatigue, Hearing, fatigue, least_of
from recall.tracks import ACOUSTIC, CataloguedTrack, IndexedTrack, Vector, matrix
from topics.records import Listen

EVENTS_MAX = 50
# How much of its weight an event keeps when another comes after it.
FADE = 0.9
# After a silence another session begins: what was before is a memory.
SILENCE_MS, EARLIER = 1_800_000, 0.3
SKIP_MS = 30_000
# Cosines below are no likeness: EmbeatMLP puts most pairs of tracks there.
UNLIKE = 0.5
ATTRACTION, REPULSION = 0.3, 0.6
SAME_ARTIST = 0.35
# From this share on a track that was heard says that it belongs there.
LIKED_FROM = 0.5
FINISHED, SKIPPED, IN_MOOD = "session_finished", "session_skipped", "session_mood"
NOT_DRAWN: tuple[float, None] = (0.0, None)

_SAID = {"play": "finished", "repeat": "repeated", "like": "liked", "save": "saved", "add_to_playlist": "added"}
_LIKING = {"like": 1.0, "save": 1.0, "repeat": 1.0, "add_to_playlist": 1.0, "dislike": -1.0}


def verdict(event: Listen) -> float:
    """How an event speaks for its track, -1..1: a skip the sooner the worse, a play by the share that was heard.

    `played_ms` `None` is the end of a play and the start of a skip. A skip after `SKIP_MS` says nothing.
    """
    if event.kind == "skip":
        return -max(0.0, 1.0 - (event.played_ms or 0) / SKIP_MS)
    if event.kind == "play":
        if event.played_ms is None or not event.duration_ms:
            return 1.0 if event.played_ms is None or event.played_ms >= SKIP_MS else 0.0
        return min(1.0, event.played_ms / event.duration_ms)
    return _LIKING.get(event.kind, 0.0)


class Moment(NamedTuple):
    """An event of the session that draws or pushes."""

    track_id: str
    said: str


class Forces(NamedTuple):
    """What the session adds to scores, each term (N,), and the moment behind what each candidate is drawn by."""

    terms: dict[str, Array]
    drawn_by: Sequence[Moment | None]


STILL = Forces({}, ())


@dataclass(frozen=True)
class Mood:
    """The session as forces: unit vectors with their pull (> 0) or push (< 0), and artists with theirs.

    Attributes:
        vectors: (N, 64) float32.
        forces: (N,) float32 in -1..1, faded by what came after.
        pushed: artist id -> push, < 0.
        drawn: artist id -> pull, > 0, and the moment behind it.
        moments: of each of the N vectors.
        atmosphere: the mood of what was finished.
        fatigue: what there was enough of.
    """

    vectors: NDArray[np.float32]
    forces: NDArray[np.float32]
    pushed: Mapping[str, float]
    drawn: Mapping[str, tuple[float, Moment]]
    moments: tuple[Moment, ...]
    atmosphere: Atmosphere = UNKNOWN
    fatigue: Fatigue = FRESH

    @property
    def is_still(self) -> bool:
        """Whether nothing is moved."""
        moving = len(self.forces) or self.pushed or self.drawn or self.atmosphere.sure
        return not (moving or self.fatigue.artists or self.fatigue.albums or self.fatigue.tracks)


def merged_session(stored: Sequence[Listen], given: Sequence[Listen]) -> list[Listen]:
    """The stored events, then those that only the caller has, the latest last, each event once."""
    events = {event.event_id: event for event in (*stored, *given)}
    return list(events.values())[-EVENTS_MAX:]


def mood(session: Sequence[Listen], known: Mapping[str, IndexedTrack]) -> Mood:
    """The forces of a session; tracks that are not in the catalogue, and events that say nothing, exert none."""
    vectors, forces, moments = [], [], []
    pushed: dict[str, float] = {}
    drawn: dict[str, tuple[float, Moment]] = {}
    hearings: list[Hearing] = []
    for event, strength in reversed(list(zip(session, strengths(session), strict=True))):
        indexed = known.get(event.track_id or "")
        if indexed is None:
            continue
        says = verdict(event)
        heard = event.kind in ("play", "skip")
        hearings.append(Hearing(indexed.track, says, strength, heard, event.kind == "repeat"))
        if (force := strength * says) == 0:
            continue
        moment = Moment(
            indexed.track.track_id, f"close to {indexed.track.title}, which you just {_SAID.get(event.kind, 'heard')}"
        )
        for artist_id in indexed.track.artist_ids:
            if force < 0:
                pushed[artist_id] = max(-1.0, pushed.get(artist_id, 0.0) + force)
            elif force > drawn.get(artist_id, NOT_DRAWN)[0]:
                drawn[artist_id] = force, moment
        if (vector := indexed.vectors.get(ACOUSTIC)) is not None:
            vectors.append(vector)
            forces.append(force)
            moments.append(moment)
    stacked = matrix(vectors) if vectors else np.zeros((0, 64), np.float32)
    liked = [(one.track, one.strength * one.verdict) for one in hearings if one.verdict > 0]
    return Mood(
        stacked,
        np.array(forces, np.float32),
        pushed,
        drawn,
        tuple(moments),
        atmosphere(liked),
        fatigue(hearings[::-1]),
    )


def liked_lately(session: Sequence[Listen]) -> tuple[str, ...]:
    """Ids of the tracks that were liked since the last silence, each once, the latest last."""
    since = len(session)
    while since > 1 and session[since - 1].occurred_at_ms - session[since - 2].occurred_at_ms <= SILENCE_MS:
        since -= 1
    liked = [event.track_id for event in session[since - 1 :] if event.track_id and verdict(event) >= LIKED_FROM]
    return tuple(reversed(dict.fromkeys(reversed(liked))))


def strengths(session: Sequence[Listen]) -> list[float]:
    """How much each event still counts: less for every hearing after it, and much less before a silence."""
    found: list[float] = []
    strength, later_ms = 1.0, None
    for event in reversed(session):
        if later_ms is not None and later_ms - event.occurred_at_ms > SILENCE_MS:
            strength *= EARLIER
        found.append(strength)
        if event.kind in ("play", "skip"):
            strength *= FADE
        later_ms = event.occurred_at_ms
    return found[::-1]


def forces_on(candidates: Sequence[CataloguedTrack], vectors: Mapping[str, Vector], felt: Mood) -> Forces:
    """What the session adds to each candidate's score.

    `session_finished` and `session_mood` are >= 0, `session_skipped` and `session_fatigue` <= 0, `session_repeat`
    is either.
    `vectors` holds acoustic vectors by track id; a track without one is moved by its artists alone, as if it sounded
    like their other tracks.
    """
    if felt.is_still or not candidates:
        return STILL
    pulls, nearest, pushes = _by_likeness(candidates, vectors, felt)
    away = REPULSION * pushes
    drawn_by = [felt.moments[near] if pull > 0 else None for near, pull in zip(nearest.tolist(), pulls, strict=True)]
    if felt.pushed:
        away += SAME_ARTIST * np.array([least_of(one, felt.pushed) for one in candidates])
    if felt.drawn:
        for row, candidate in enumerate(candidates):
            if candidate.track_id not in vectors:
                draws = (felt.drawn.get(artist_id, NOT_DRAWN) for artist_id in candidate.artist_ids)
                pulls[row], drawn_by[row] = max(draws, key=lambda draw: draw[0], default=NOT_DRAWN)
    terms = felt.fatigue.terms(candidates)
    terms |= {FINISHED: ATTRACTION * pulls, SKIPPED: away, IN_MOOD: gains(candidates, felt.atmosphere)}
    return Forces(terms, drawn_by)


def _by_likeness(
    candidates: Sequence[CataloguedTrack], vectors: Mapping[str, Vector], felt: Mood
) -> tuple[Array, NDArray[np.int64], Array]:
    """The strongest pull on each candidate, whose it is, and the strongest push: likeness times force."""
    pulls, pushes = np.zeros(len(candidates)), np.zeros(len(candidates))
    nearest = np.zeros(len(candidates), np.int64)
    rows = [row for row, one in enumerate(candidates) if one.track_id in vectors]
    if not rows or not len(felt.forces):
        return pulls, nearest, pushes
    placed = matrix([vectors[candidates[row].track_id] for row in rows])
    moved = np.clip((placed @ felt.vectors.T - UNLIKE) / (1 - UNLIKE), 0, 1) * felt.forces
    nearest[rows] = moved.argmax(axis=1)
    pulls[rows] = np.maximum(moved.max(axis=1), 0)
    pushes[rows] = np.minimum(moved.min(axis=1), 0)
    return pulls, nearest, pushes
