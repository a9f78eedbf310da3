"""How large the index is, looked at now and then."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from recall.errors import IndexUnavailable
from recall.index.protocol import TrackIndex
from streams.observing.metrics import INDEXED, OUTSIDE_GRAPH

LOOK_S = 5.0


async def measure_index(index: TrackIndex) -> None:
    """Look for as long as the worker runs; what cannot be seen keeps its last value."""
    while True:
        with suppress(IndexUnavailable):
            INDEXED.set(await index.count())
            outside = getattr(index, "unoptimised", None)
            if outside is not None:
                OUTSIDE_GRAPH.set(outside)
        await asyncio.sleep(LOOK_S)
