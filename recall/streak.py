"""Skips in a row, each soon: whatever is like what was skipped sinks further than single skips push it.

A single skip says little of a kind of music; a few of one kind in a row say that it is not wanted now. What they have
in common is told by sound and by the lists that hold tracks together, as some kinds are told by one of these alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.bandit import Array
from recall.merge import Merged
from recall.scored import Scored
from recall.session import SILENCE_MS, verdict
from recall.tracks import ACOUSTIC, COOCCURRENCE, IndexedTrack, Vector, matrix
from topics.records import Listen

TERM = "session_streak"
# So many are a streak, of which each says at least so much: that it was skipped within 15 s.
LEAST, SOON = 3, -0.5
# What a track loses that is as near as can be to all of them.
AWAY = 4.0
SPACES = (ACOUSTIC, COOCCURRENCE)

# Name of the vectors -> track id -> vector.
Places = Mapping[str, Mapping[str, Vector]]


def skipped_in_a_row(session: Sequence[Listen]) -> tuple[str, ...]:
    """Ids of the tracks that were skipped soon, one after the other up to now, the latest first; () for too few.

    Whatever speaks for a track ends a streak, and so does a silence.
    """
    found: dict[str, None] = {}
    later_ms: int | None = None
    for event in reversed(session):
        if later_ms is not None and later_ms - event.occurred_at_ms > SILENCE_MS:
            break
        later_ms = event.occurred_at_ms
        says = verdict(event)
        if event.kind == "play" or says > 0 or (event.kind == "skip" and says > SOON):
            break
        if event.kind == "skip" and event.track_id is not None:
            found[event.track_id] = None
    return tuple(found) if len(found) >= LEAST else ()


def turned_away(candidates: Sequence[Merged], skipped: Sequence[IndexedTrack], places: Places) -> Scored:
    """The candidates with what they lose by being like all that was skipped, in their order.

    Args:
        candidates: whose order has not been made yet.
        skipped: in a row; empty when there is no streak.
        places: of the candidates, in each of `SPACES`.
    """
    scored = Scored.of(candidates)
    if not skipped or not candidates:
        return scored
    return scored.plus({TERM: -AWAY * likeness([track.track_id for track in scored.tracks], skipped, places)})


def likeness(track_ids: Sequence[str], skipped: Sequence[IndexedTrack], places: Places) -> Array:
    """(N,) mean cosine, 0..1, to what was skipped, over the spaces in which both are known; 0 where none is."""
    sums, spaces = np.zeros(len(track_ids)), np.zeros(len(track_ids))
    for name in SPACES:
        given = places.get(name, {})
        known = [row for row, one in enumerate(track_ids) if one in given]
        vectors = [one.vectors[name] for one in skipped if name in one.vectors]
        if known and vectors:
            near = matrix([given[track_ids[row]] for row in known]) @ matrix(vectors).T
            sums[known] += np.clip(near, 0, 1).mean(axis=1)
            spaces[known] += 1
    return sums / np.maximum(spaces, 1)
