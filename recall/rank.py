"""The order of candidates for this person, now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from recall.merge import Merged
from recall.session import FINISHED, IN_MOOD, Mood, Moved, forces_on
from recall.tracks import Vector


def rank(candidates: Sequence[Merged], vectors: Mapping[str, Vector], felt: Mood) -> list[Merged]:
    """The candidates with the session's terms added to their scores, best first, ties by track id.

    `vectors` holds acoustic vectors by track id.
    """
    moved = forces_on([one.track for one in candidates], vectors, felt)
    ranked = [_moved(one, by) if by.terms else one for one, by in zip(candidates, moved, strict=True)]
    return sorted(ranked, key=_best_first)


def _moved(one: Merged, by: Moved) -> Merged:
    reasons, because = {**one.reasons, IN_MOOD: "in the mood of your session"}, one.because
    if by.drawn_by is not None:
        reasons[FINISHED] = by.drawn_by.said
        if by.drawn_by.track_id not in because:
            because = (*because, by.drawn_by.track_id)
    return Merged(one.track, one.ranks, {**one.contributions, **by.terms}, reasons, because)


def _best_first(one: Merged) -> tuple[bool, float, str]:
    score = one.score
    return not math.isfinite(score), -score, one.track.track_id
