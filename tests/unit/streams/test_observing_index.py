from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from recall.index.protocol import Hit
from streams.observing.index import recall_at, recall_of_one
from tests.brute_index import BruteIndex
from tests.unit.recall.tracks import at, direction


class Forgetful(BruteIndex):
    """Overlooks every fourth of the nearest, and finds others in their place."""

    async def nearest(self, vector: Any, limit: int, *args: Any, exact: bool = False, **more: Any) -> list[Hit]:
        hits = await super().nearest(vector, 2 * limit, *args, **more)
        return (hits if exact else [hit for place, hit in enumerate(hits) if place % 4])[:limit]


async def test_recall_is_the_share_of_the_nearest_that_was_found() -> None:
    tracks = [at(number / 10, f"t{number:03d}") for number in range(400)]
    assert await recall_at(BruteIndex(tracks), direction(3), "acoustic") == 1.0
    assert await recall_at(Forgetful(tracks), direction(0), "acoustic") == 0.75


async def test_which_of_equally_near_tracks_are_found_is_no_matter() -> None:
    assert await recall_at(Forgetful([at(5, f"t{number:03d}") for number in range(400)]), direction(0), "acoustic") == 1


@pytest.mark.parametrize("tracks", [[], [at(0, "t")]])
async def test_where_nothing_has_such_a_vector_there_is_nothing_to_tell(tracks: list[Any]) -> None:
    assert await recall_of_one(BruteIndex(tracks), random.Random(1), "cooccurrence") is None
    assert np.isfinite(await recall_of_one(BruteIndex([at(0, "t")]), random.Random(1), "acoustic"))
