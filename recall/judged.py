"""What the prior says of candidates, as one term of their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.collaborative import Scores
from recall.merge import K, Merged
from recall.scored import Scored

TERM = "prior"
# Of the first; it outweighs the channels, whose ranks it has weighed itself, and leaves room for the session.
FIRST = 1.5


def judged(candidates: Sequence[Merged], scores: Scores) -> Scored:
    """The candidates with `prior` among their terms, in the order in which they came; ties by that order.

    By rank, as everything is merged: log-odds have no common unit with the other terms.

    Args:
        candidates: of one answer.
        scores: (C,) of the same candidates, finite.
    """
    order = np.argsort(-scores, kind="stable")
    worth = np.empty(len(scores))
    worth[order] = FIRST * K / (K + np.arange(len(scores)))
    return Scored.of(candidates).plus({TERM: worth})
