"""The order of candidates for this person, now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from recall.merge import Merged
from recall.session import Mood, forces_on
from recall.tracks import Vector


def rank(candidates: Sequence[Merged], vectors: Mapping[str, Vector], felt: Mood) -> list[Merged]:
    """The candidates with the session's terms added to their scores, best first, ties by track id.

    `vectors` holds acoustic vectors by track id.
    """
    terms = forces_on([one.track for one in candidates], vectors, felt)
    ranked = [
        replace(one, contributions={**one.contributions, **added}) if added else one
        for one, added in zip(candidates, terms, strict=True)
    ]
    return sorted(ranked, key=_best_first)


def _best_first(one: Merged) -> tuple[bool, float, str]:
    score = one.score
    return not math.isfinite(score), -score, one.track.track_id
