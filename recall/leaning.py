"""Which way a listener leans: to what is like the last tracks heard gladly, away from what was moved on from.

Each hearing counts by how much more or less gladly it was heard than this listener's usual, so that somebody who skips
a lot leans no further away from everything than somebody who never does.

Source: J. J. Rocchio, Relevance Feedback in Information Retrieval, 1971, with hearings weighed against their mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.rewards import moved_on, share_heard
from recall.tracks import ACOUSTIC, IndexedTrack, Vector, matrix
from topics.records import Listen

BY_SOUND, BY_LISTS = "leaning_sound", "leaning_lists"
# How often a track is heard gladly by somebody of whom nothing is known, and for how many hearings that counts.
USUAL, USUAL_COUNT = 0.5, 5.0
# Hearings that say nothing, beside those that were: a few are a weak sign.
DAMPING = 10.0
_JUDGED = {"like": 1.0, "save": 1.0, "add_to_playlist": 1.0, "repeat": 1.0, "dislike": 0.0}


@dataclass(frozen=True)
class Leaning:
    """The sum of what was heard, each by how it was.

    Attributes:
        weights: track id -> above 0 when it was heard more gladly than usual; together within -1..1.
        sound: (64,) float32, the acoustic vectors of these tracks by their weights.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    sound: Vector = field(default_factory=lambda: np.zeros(64, np.float32))


NEITHER_WAY = Leaning()


def gladness(event: Listen) -> float | None:
    """1 for a track heard to its middle and more, or kept; 0 for one moved on from; `None` for what says neither."""
    if event.kind in ("play", "skip"):
        return 1.0 - moved_on(event.kind, share_heard(event))
    return _JUDGED.get(event.kind)


def leaning(session: Sequence[Listen], known: Mapping[str, IndexedTrack]) -> Leaning:
    """What the last events say; `known` holds those of their tracks that are in the catalogue."""
    said = [(event.track_id, glad) for event in session if event.track_id and (glad := gladness(event)) is not None]
    if not said:
        return NEITHER_WAY
    usual = (sum(glad for _, glad in said) + USUAL * USUAL_COUNT) / (len(said) + USUAL_COUNT)
    weights: Counter[str] = Counter()
    for track_id, glad in said:
        weights[track_id] += (glad - usual) / (len(said) + DAMPING)  # type: ignore[assignment]
    heard = [(known[one].vectors[ACOUSTIC], weight) for one, weight in weights.items() if _sounds(known.get(one))]
    if not heard:
        return Leaning(weights)
    vectors, counts = zip(*heard, strict=True)
    return Leaning(weights, np.array(counts, np.float32) @ matrix(vectors))


def _sounds(indexed: IndexedTrack | None) -> bool:
    return indexed is not None and ACOUSTIC in indexed.vectors
