"""The mood that a session has settled on: how energetic, glad and danceable what was finished is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recall.tracks import CataloguedTrack

Numbers = NDArray[np.float64]

# What a track of the very mood gains when the session has shown its mood beyond doubt.
MOOD = 0.1
# At this distance in the cube of the three features, some three fifths of the gain are left.
WIDTH = 0.2
# A session of so many tracks finished just now is half beyond doubt.
HALF_SURE = 2.0


@dataclass(frozen=True)
class Atmosphere:
    """The mean of energy, valence and danceability of what was liked, and how sure it is, 0..1."""

    mean: Numbers
    sure: float


UNKNOWN = Atmosphere(np.zeros(3), 0.0)


def atmosphere(liked: Sequence[tuple[CataloguedTrack, float]]) -> Atmosphere:
    """The mood of tracks with how much each was liked, > 0; those of unknown features say nothing."""
    if not liked:
        return UNKNOWN
    moods = moods_of([track for track, _ in liked])
    known = ~np.isnan(moods).any(axis=1)
    weights = np.array([weight for _, weight in liked]) * known
    total = float(weights.sum())
    if total <= 0:
        return UNKNOWN
    return Atmosphere(np.average(moods[known], axis=0, weights=weights[known]), total / (total + HALF_SURE))


def gains(candidates: Sequence[CataloguedTrack], session: Atmosphere) -> Numbers:
    """What each candidate gains by its mood, 0..`MOOD`: (N,); nothing where it is not known."""
    if not candidates or session.sure == 0:
        return np.zeros(len(candidates))
    distances = ((moods_of(candidates) - session.mean) ** 2).sum(axis=1)
    found: Numbers = np.nan_to_num(MOOD * session.sure * np.exp(-distances / (2 * WIDTH**2)))
    return found


def moods_of(tracks: Sequence[CataloguedTrack]) -> Numbers:
    """Energy, valence and danceability: (N, 3), NaN where not known."""
    features = [track.features for track in tracks]
    rows = [(one.energy, one.valence, one.danceability) if one else (None, None, None) for one in features]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)
