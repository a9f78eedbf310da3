"""What one event says, in numbers: how much a track was heard, liked, counted.

Source: the interaction weights of design.md: share of the track heard, +2 saved, +1.5 repeated, -0.5 for a skip before
30 s. A like and an addition to a playlist are as deliberate as a save, so they weigh the same. Where an event does not
say how long its track is, `UNKNOWN_DURATION_MS` stands in.
"""

from __future__ import annotations

from recall.session import SKIP_MS
from topics.records import Listen

UNKNOWN_DURATION_MS = 210_000
CLOCK_AHEAD_MS = 86_400_000

SAVED, REPEATED, EARLY_SKIP = 2.0, 1.5, -0.5
JUDGED = {"like": SAVED, "save": SAVED, "add_to_playlist": SAVED, "repeat": REPEATED}
TAKEN_BACK = {"unrate": -SAVED, "unsave": -SAVED}


def share_heard(event: Listen) -> float:
    """How much of the track a play or a skip heard, 0..1; a skip without `played_ms` heard nothing."""
    if event.played_ms is None:
        return 0.0 if event.kind == "skip" else 1.0
    return min(1.0, event.played_ms / (event.duration_ms or UNKNOWN_DURATION_MS))


def is_finished(event: Listen) -> bool:
    """Whether a play heard enough to speak for its track: half of it, or 30 s where its length is not known."""
    if event.played_ms is not None and not event.duration_ms:
        return event.played_ms >= SKIP_MS
    return share_heard(event) >= 0.5


def is_early(event: Listen) -> bool:
    """Whether a skip came before 30 s."""
    return (event.played_ms or 0) < SKIP_MS


def anchor_weight(event: Listen) -> float:
    """What the event adds to its track's weight as an anchor of taste; below 0 it takes away."""
    if event.kind == "play":
        return share_heard(event) if is_finished(event) else 0.0
    if event.kind == "skip":
        return EARLY_SKIP if is_early(event) else 0.0
    return JUDGED.get(event.kind) or TAKEN_BACK.get(event.kind, 0.0)


def popularity_weight(event: Listen) -> float:
    """What the event adds to its track's popularity, never below 0."""
    if event.kind == "play":
        return share_heard(event)
    if event.kind == "skip":
        return 0.0 if is_early(event) else share_heard(event)
    return JUDGED.get(event.kind, 0.0)


def popularity_time_ms(event: Listen, timestamp_ms: int) -> int:
    """When the event counts as having happened: no more than a day after its record came, whatever its clock says."""
    return min(event.occurred_at_ms, timestamp_ms + CLOCK_AHEAD_MS)
