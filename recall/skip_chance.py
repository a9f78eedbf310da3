"""How likely a candidate is to be skipped, were it heard next: what is known of the session, times what it is.

What this is made of are columns of the ranking's own features, so that an impression in the log teaches it, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.bandit import Array
from models.rewards import moved_on, share_heard
from models.skip_weights import SkipWeights
from models.skips import Hearing, features_of
from recall.session import SILENCE_MS
from topics.records import Listen

CHANCE = "skip_chance"
# Columns of the session, the same for all candidates of a request.
LAST, LATELY = "skipped_last", "skipped_lately"
# Moved on from before so many milliseconds, a track was hardly heard.
AT_ONCE_MS = 10_000
NEITHER = 0.5
# What is further back has less than a hundredth of the weight of the last.
HEARINGS_MAX = 20


def hearings_of(session: Sequence[Listen]) -> list[Hearing]:
    """What was done with the last tracks heard since the last silence, in order, at most `HEARINGS_MAX`."""
    found: list[Hearing] = []
    later_ms = None
    for event in reversed(session):
        if len(found) == HEARINGS_MAX or (later_ms is not None and later_ms - event.occurred_at_ms > SILENCE_MS):
            break
        later_ms = event.occurred_at_ms
        if event.kind in ("play", "skip") and event.track_id is not None:
            share = share_heard(event)
            skipped = moved_on(event.kind, share)
            found.append(Hearing(event.track_id, skipped, skipped and (event.played_ms or 0) < AT_ONCE_MS, not skipped))
    return found[::-1]


def said_by(session: Sequence[Listen]) -> dict[str, float]:
    """Column -> what a session says of the track that comes next; each -1..1, 0 where nothing was heard."""
    hearings = hearings_of(session)
    if not hearings:
        return {}
    said = features_of(hearings, 1, NEITHER)
    return {LAST: said["last"], LATELY: 2 * said["share_of_late"] - 1}


def rows_of(features: Array, columns: Sequence[int], crossed: Sequence[int], lately: int) -> Array:
    """(N, F) what a skip is told by.

    Args:
        features: (N, SIZE) of the ranking.
        columns: those that count as they are.
        crossed: those that also count times the column `lately`.
        lately: that column.
    """
    return np.hstack([features[:, columns], features[:, crossed] * features[:, lately, None]])


def chances_of(weights: SkipWeights, rows: Array) -> Array:
    """(N,) the column of the ranking: above 0 where a skip is likelier than not, 0 where nothing was learnt."""
    return weights.chances(rows) - NEITHER
