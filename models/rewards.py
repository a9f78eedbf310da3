"""What an answer's track earned: a number from what its listener did with it.

Source: the interaction weights: share of the track heard, +2 saved, +1.5 repeated, -0.5 for a skip before 30 s. A like
and an addition to a playlist are as deliberate as a save, so they weigh the same; a dislike is the opposite of a like.
Where an event does not say how long its track is, `UNKNOWN_DURATION_MS` stands in.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from topics.records import Listen, ListenKind

UNKNOWN_DURATION_MS = 210_000
EARLY_SKIP_MS = 30_000
MIDDLE = 0.5

SAVED, REPEATED, EARLY_SKIP, DISLIKED = 2.0, 1.5, -0.5, -2.0
JUDGED = {"like": SAVED, "save": SAVED, "add_to_playlist": SAVED, "repeat": REPEATED}
TAKEN_BACK = {"unrate": -SAVED, "unsave": -SAVED}
LEAST, MOST = EARLY_SKIP + DISLIKED, 1.0 + SAVED + REPEATED

_KEPT = frozenset({"like", "save", "add_to_playlist"})
_LET_GO = frozenset({"unrate", "unsave"})


class Reaction(Struct, frozen=True, array_like=True, gc=False):
    """What an event says of a track that was shown; `share` of it was heard, 0..1."""

    track_id: str
    kind: ListenKind
    share: float
    early: bool


def share_heard(event: Listen) -> float:
    """How much of the track a play or a skip heard, 0..1; a skip without `played_ms` heard nothing."""
    if event.played_ms is None:
        return 0.0 if event.kind == "skip" else 1.0
    return min(1.0, event.played_ms / (event.duration_ms or UNKNOWN_DURATION_MS))


def is_early(event: Listen) -> bool:
    """Whether a skip came before 30 s."""
    return (event.played_ms or 0) < EARLY_SKIP_MS


def moved_on(kind: ListenKind, share: float) -> bool:
    """Whether a track was left before its middle."""
    return kind == "skip" and share < MIDDLE


def reaction_of(event: Listen) -> Reaction | None:
    """What the event says of a track, `None` when it is about an artist."""
    if event.track_id is None:
        return None
    heard = event.kind in ("play", "skip")
    share = share_heard(event) if heard else 0.0
    return Reaction(event.track_id, event.kind, share, event.kind == "skip" and is_early(event))


def reward(reactions: Iterable[Reaction]) -> float:
    """What one shown track earned, `LEAST`..`MOST`, by all that followed it; their order does not matter.

    The greatest share heard counts; an early skip costs only where no more of the track was heard than before it; what
    was saved and let go again as often counts as neither.
    """
    share, skipped, kept, repeated, disliked = 0.0, -1.0, 0, False, False
    for one in reactions:
        share = max(share, one.share)
        skipped = max(skipped, one.share) if one.early else skipped
        kept += (one.kind in _KEPT) - (one.kind in _LET_GO)
        repeated = repeated or one.kind == "repeat"
        disliked = disliked or one.kind == "dislike"
    early = skipped >= share
    return share + EARLY_SKIP * early + SAVED * (kept > 0) + REPEATED * repeated + DISLIKED * disliked
