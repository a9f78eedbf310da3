"""What people type, on all the music there is: the shared catalogue, or in a clone that has not got it the sample."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recall.texts import TextIndex
from recall.tracks import IndexedTrack
from streams.agents.catalogue import catalogued
from streams.catalogue import sample_tracks
from streams.importing.tracks import open_tracks
from streams.labelled import records_of
from tests.text_queries import ARTISTS, TRACKS, misses
from topics.records import Track

SHARED = Path(os.environ.get("THROUGHBEAT_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
BATCH = 2_048


@pytest.fixture(scope="module")
def music() -> list[IndexedTrack]:
    path = SHARED / "tracks.csv.gz"
    records = records_of(open_tracks(path if path.exists() else sample_tracks()), Track)
    return [IndexedTrack(catalogued(record, {}, added_at_ms=0)) for record in records]


@pytest.fixture
async def texts(music: list[IndexedTrack], tmp_path: Path) -> AsyncIterator[TextIndex]:
    index = TextIndex.open(tmp_path / "texts.sqlite3")
    for at in range(0, len(music), BATCH):
        await index.put(music[at : at + BATCH])
    yield index
    await index.close()


async def test_at_least_ninety_five_of_a_hundred_are_understood(texts: TextIndex, music: list[IndexedTrack]) -> None:
    held = {one.track.track_id for one in music}
    artists = {artist.artist_id or artist.name for one in music for artist in one.track.artists}
    asked = [query for query, meant in TRACKS.items() if meant in held]
    asked += [query for query, meant in ARTISTS.items() if meant in artists]
    assert len(asked) >= 15
    assert len(TRACKS) + len(ARTISTS) >= 60
    wrong = misses({query: await texts.find(query) for query in asked}, [one.track for one in music])
    assert len(wrong) <= 0.05 * len(asked), wrong
