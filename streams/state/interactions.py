"""What one event says, in numbers: how much a track was heard, liked, counted.

Source: the interaction weights that `models.rewards` states.
"""

from __future__ import annotations

from models.rewards import EARLY_SKIP, JUDGED, TAKEN_BACK, is_early, share_heard
from recall.session import SKIP_MS
from topics.records import Listen

CLOCK_AHEAD_MS = 86_400_000


def is_finished(event: Listen) -> bool:
    """Whether a play heard enough to speak for its track: half of it, or 30 s where its length is not known."""
    if event.played_ms is not None and not event.duration_ms:
        return event.played_ms >= SKIP_MS
    return share_heard(event) >= 0.5


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
