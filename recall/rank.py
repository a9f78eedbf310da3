"""The order of candidates for this person, now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recall.merge import Merged
from recall.scored import Reasons, Scored
from recall.session import FINISHED, IN_MOOD, Mood, forces_on
from recall.tracks import Vector

IN_THE_MOOD = "in the mood of your session"


def rank(candidates: Sequence[Merged], vectors: Mapping[str, Vector], felt: Mood) -> Scored:
    """The candidates with the session's terms added to their scores, best first, ties by track id.

    `vectors` holds acoustic vectors by track id.
    """
    scored = Scored.of(candidates)
    terms, drawn_by = forces_on(scored.tracks, vectors, felt)
    if terms:
        reasons: Reasons = {
            FINISHED: [moment.said if moment else None for moment in drawn_by],
            IN_MOOD: [IN_THE_MOOD] * len(scored),
        }
        scored = scored.plus(terms, reasons, [moment.track_id if moment else None for moment in drawn_by])
    return scored.best_first()
