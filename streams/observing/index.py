"""How large the index is, and how much of what is near it finds: looked at now and then."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from recall.errors import IndexUnavailable
from recall.index.protocol import TrackIndex
from recall.tracks import Vector
from streams.observing.metrics import INDEXED, OUTSIDE_GRAPH, RECALL

LOOK_S = 5.0
# Recall is of so many nearest, over the last so many searches.
NEAREST = 100
SEARCHES = 64
# An exact search holds up answers: it may take no more than this share of the time.
SHARE = 0.002
# Scores of one pair of vectors, computed in another order.
SAME = 1e-5


async def measure_index(index: TrackIndex, vectors: Sequence[str]) -> None:
    """Look for as long as the worker runs; what cannot be seen keeps its last value."""
    rng = random.Random()
    found: dict[str, deque[float]] = {name: deque(maxlen=SEARCHES) for name in vectors}
    while True:
        took_s = 0.0
        with suppress(IndexUnavailable):
            INDEXED.set(await index.count())
            outside = getattr(index, "unoptimised", None)
            if outside is not None:
                OUTSIDE_GRAPH.set(outside)
            for name, shares in found.items():
                began_s = time.perf_counter()
                share = await recall_of_one(index, rng, name)
                took_s += time.perf_counter() - began_s
                if share is not None:
                    shares.append(share)
                    RECALL.labels(name).set(sum(shares) / len(shares))
        await asyncio.sleep(max(LOOK_S, took_s / SHARE))


async def recall_of_one(index: TrackIndex, rng: random.Random, name: str) -> float | None:
    """Share of the nearest of a track drawn at random that the search finds; `None` when there is nothing to find."""
    vector = await index.sample(rng, using=name)
    return None if vector is None else await recall_at(index, vector, name)


async def recall_at(index: TrackIndex, vector: Vector, name: str) -> float | None:
    """Share of the nearest that the search finds, by their scores: which of equal ones are found is no matter."""
    exact = [hit.score for hit in await index.nearest(vector, NEAREST, using=name, exact=True)]
    if not exact:
        return None
    found = [hit.score for hit in await index.nearest(vector, NEAREST, using=name)]
    return sum(score >= exact[-1] - SAME for score in found) / len(exact)
