"""What breadth does to whole lists, on music of the bundled sample."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from models.embeat_mlp import load_checkpoint
from recall.channels import Acoustic, GenrePopular, SameArtist
from recall.person import NOBODY, Anchor, Person
from recall.pipeline import Recommender
from recall.tracks import ACOUSTIC, IndexedTrack
from streams.agents.catalogue import catalogued
from streams.catalogue import sample_tracks
from streams.importing.tracks import open_tracks
from streams.labelled import records_of
from tests.brute_index import BruteIndex
from tests.unit.recall.test_pipeline import NOW, NoPlaylists, NoPlays
from topics.records import RecommendationRequest, Seed, Track

BREADTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
CASES, SEEDS, LIMIT = 16, 4, 30


@pytest.fixture(scope="module")
def music() -> BruteIndex:
    """Each fourteenth track of the sample, with its vector."""
    tracks = [catalogued(one, {}, added_at_ms=0) for one in list(records_of(open_tracks(sample_tracks()), Track))[::14]]
    model = load_checkpoint()
    known = [track for track in tracks if model.can_embed(track)]
    vectors = model.embed(known)
    return BruteIndex([IndexedTrack(track, {ACOUSTIC: vector}) for track, vector in zip(known, vectors, strict=True)])


def spread(index: BruteIndex, ids: list[str]) -> float:
    """One less the length of the mean vector: 0 where all are alike."""
    vectors = np.stack([index.stored[one].vectors[ACOUSTIC] for one in ids])
    return float(1 - np.linalg.norm(vectors.mean(axis=0)))


async def spreads(music: BruteIndex, *, seeded: bool) -> list[float]:
    """The mean spread of the lists of some drawn starts, by breadth."""
    made = Recommender(music, NoPlaylists(), [Acoustic(music), SameArtist(music), GenrePopular(music, NoPlays())])
    rng, ids = np.random.default_rng(5), sorted(music.stored)
    drawn = [[ids[at] for at in rng.integers(0, len(ids), SEEDS)] for _ in range(CASES)]

    async def one(starts: list[str], breadth: float) -> float:
        seeds = tuple(Seed(track_id=start) for start in starts) if seeded else None
        person = NOBODY if seeded else Person(anchors=tuple(Anchor(start, 1.0, NOW) for start in starts))
        request = RecommendationRequest(request_id="r", seeds=seeds, breadth=breadth, limit=LIMIT)
        deadline_s = asyncio.get_running_loop().time() + 60
        answer = await made.answer(request, person, now_ms=NOW, deadline_s=deadline_s)
        return spread(music, [item.track.track_id for item in answer.items])

    return [float(np.mean([await one(starts, breadth) for starts in drawn])) for breadth in BREADTHS]


@pytest.mark.parametrize("seeded", [True, False])
async def test_the_wider_the_breadth_the_wider_the_list(music: BruteIndex, seeded: bool) -> None:
    found = await spreads(music, seeded=seeded)
    assert all(narrow <= wide for narrow, wide in pairwise(found)), found
    assert found[-1] > 1.2 * found[0], found
