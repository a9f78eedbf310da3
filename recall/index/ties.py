"""Equal scores in one order, whatever order the engine found them in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from recall.index.protocol import Hit

# Editions of one recording have one vector, so ties at the cut are common; seldom are they longer than this, and need
# another search.
_SPARE = 4
_MOST = 4


async def nearest_in_order(search: Callable[[int], Awaitable[list[Hit]]], limit: int) -> list[Hit]:
    """The `limit` best of a search, ties by track id, also where a tie straddles the cut.

    The search is repeated for more hits until the tie ends, but never for more than four times as many: beyond that,
    which of the tied tracks are in is the engine's choice.
    """
    if limit <= 0:
        return []
    wanted, most = limit + _SPARE, _MOST * (limit + _SPARE)
    hits = await search(wanted)
    while len(hits) == wanted < most and hits[limit - 1].score == hits[-1].score:
        wanted = min(wanted * 2, most)
        hits = await search(wanted)
    return sorted(hits, key=lambda hit: (-hit.score, hit.track.track_id))[:limit]
