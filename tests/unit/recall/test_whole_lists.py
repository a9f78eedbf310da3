"""What breadth and exploration do to whole lists, on music of the bundled sample."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from models.embeat_mlp import load_checkpoint
from recall.channels import Acoustic, GenrePopular, SameArtist
from recall.person import NOBODY, Anchor, Person
from recall.pipeline import Answer, Recommender
from recall.tracks import ACOUSTIC, IndexedTrack
from streams.agents.catalogue import catalogued
from streams.catalogue import sample_tracks
from streams.importing.tracks import open_tracks
from streams.labelled import records_of
from tests.brute_index import BruteIndex
from tests.unit.recall.test_pipeline import NOW, NoPlaylists, NoPlays
from topics.records import RecommendationRequest, Seed, Track

BREADTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
RATES = (0.0, 0.1, 0.25, 0.5, 1.0)
CASES, SEEDS, LIMIT = 16, 4, 30
EXPLORED_CASES = 32


@pytest.fixture(scope="module")
def music() -> BruteIndex:
    """Each fourteenth track of the sample, with its vector."""
    tracks = [catalogued(one, {}, added_at_ms=0) for one in list(records_of(open_tracks(sample_tracks()), Track))[::14]]
    model = load_checkpoint()
    known = [track for track in tracks if model.can_embed(track)]
    vectors = model.embed(known)
    return BruteIndex([IndexedTrack(track, {ACOUSTIC: vector}) for track, vector in zip(known, vectors, strict=True)])


@pytest.fixture(scope="module")
def made(music: BruteIndex) -> Recommender:
    return Recommender(music, NoPlaylists(), [Acoustic(music), SameArtist(music), GenrePopular(music, NoPlays())])


def drawn_starts(music: BruteIndex, cases: int) -> list[list[str]]:
    rng, ids = np.random.default_rng(5), sorted(music.stored)
    return [[ids[at] for at in rng.integers(0, len(ids), SEEDS)] for _ in range(cases)]


async def answer(made: Recommender, starts: list[str], name: str, *, seeded: bool, **fields: float) -> Answer:
    seeds = tuple(Seed(track_id=start) for start in starts) if seeded else None
    person = NOBODY if seeded else Person(anchors=tuple(Anchor(start, 1.0, NOW) for start in starts))
    request = RecommendationRequest(request_id=name, seeds=seeds, limit=LIMIT, **fields)
    deadline_s = asyncio.get_running_loop().time() + 60
    return await made.answer(request, person, now_ms=NOW, deadline_s=deadline_s)


def spread(index: BruteIndex, found: Answer) -> float:
    """One less the length of the mean vector: 0 where all are alike."""
    vectors = np.stack([index.stored[item.track.track_id].vectors[ACOUSTIC] for item in found.items])
    return float(1 - np.linalg.norm(vectors.mean(axis=0)))


def distance(index: BruteIndex, found: Answer, starts: list[str]) -> float:
    """The mean of one less the cosine to the nearest start."""
    vectors = np.stack([index.stored[item.track.track_id].vectors[ACOUSTIC] for item in found.items])
    origins = np.stack([index.stored[start].vectors[ACOUSTIC] for start in starts])
    return float(np.mean(1 - (vectors @ origins.T).max(axis=1)))


@pytest.mark.parametrize("seeded", [True, False])
async def test_the_wider_the_breadth_the_wider_the_list(music: BruteIndex, made: Recommender, seeded: bool) -> None:
    found = []
    for breadth in BREADTHS:
        lists = [await answer(made, one, "r", seeded=seeded, breadth=breadth) for one in drawn_starts(music, CASES)]
        found.append(float(np.mean([spread(music, one) for one in lists])))
    assert all(narrow <= wide for narrow, wide in pairwise(found)), found
    assert found[-1] > 1.2 * found[0], found


@pytest.mark.parametrize("seeded", [True, False])
async def test_the_more_exploration_the_more_is_explored_and_the_further_away_the_list_is(
    music: BruteIndex, made: Recommender, seeded: bool
) -> None:
    """Of 30 positions the rules leave room for seven (from the fourth on, four apart), from a rate of 7/30 on."""
    shares, distances, starts = [], [], drawn_starts(music, EXPLORED_CASES)
    for rate in RATES:
        lists = [
            await answer(made, one, f"r{number}", seeded=seeded, exploration=rate) for number, one in enumerate(starts)
        ]
        assert all(len(one.items) == LIMIT for one in lists)
        shares.append(float(np.mean([[item.explored for item in one.items] for one in lists])))
        distances.append(float(np.mean([distance(music, one, own) for one, own in zip(lists, starts, strict=True)])))
    assert shares == pytest.approx([0.0, 0.1, *[7 / 30] * 3])
    assert distances[0] < distances[1] < distances[2] <= distances[3] <= distances[4], distances
    assert distances[-1] > 1.1 * distances[0], distances
