from __future__ import annotations

import numpy as np

from recall.channels import InPlaylists
from recall.index.protocol import NO_FILTER, TrackFilter
from recall.query import RecallQuery, Start
from recall.tracks import COOCCURRENCE, IndexedTrack, Vector
from tests.brute_index import BruteIndex
from tests.unit.recall.tracks import direction, track


def placed(degrees: float | None, track_id: str, **fields: object) -> IndexedTrack:
    vectors: dict[str, Vector] = {} if degrees is None else {COOCCURRENCE: direction(degrees)}
    return IndexedTrack(track(track_id, **fields), vectors)


def query(*starts: IndexedTrack, breadth: float = 0.0, where: TrackFilter = NO_FILTER) -> RecallQuery:
    return RecallQuery(tuple(Start(one, 1.0) for one in starts), (), (), breadth, where, True, 0)


SEED = placed(0, "seed", title="The Seed")
OTHER = placed(120, "other", title="The Other")
CATALOGUE = [
    SEED,
    OTHER,
    *(placed(step, f"near{step:02d}", genres=("rock",) if step % 2 else ("pop",)) for step in range(1, 20)),
    *(placed(120 + step, f"far{step:02d}") for step in range(1, 20)),
    placed(None, "unplaced"),
    IndexedTrack(track("faded"), {COOCCURRENCE: np.zeros(64, np.float32)}),
]
CHANNEL = InPlaylists(BruteIndex(CATALOGUE))


async def ids(asked: RecallQuery, limit: int) -> list[str]:
    return [one.track.track_id for one in await CHANNEL.candidates(asked, limit)]


async def test_tracks_that_occur_with_the_seed_come_nearest_first_and_say_so() -> None:
    found = await CHANNEL.candidates(query(SEED), 5)
    assert [one.track.track_id for one in found] == ["seed", "near01", "near02", "near03", "near04"]
    assert found[1].reason == "Often in playlists with The Seed"
    assert found[1].because == ("seed",)


async def test_what_has_nothing_to_do_with_the_seed_is_no_candidate() -> None:
    found = await ids(query(SEED), 100)
    assert set(found) == {"seed", *(f"near{step:02d}" for step in range(1, 20))}


async def test_wide_request_looks_around_each_seed_and_each_track_comes_once() -> None:
    found = await CHANNEL.candidates(query(SEED, OTHER, breadth=1.0), 20)
    names = [one.track.track_id for one in found]
    assert len(set(names)) == len(names) == 20
    reasons = {one.track.track_id: one.reason for one in found}
    assert reasons["near01"] == "Often in playlists with The Seed"
    assert reasons["far01"] == "Often in playlists with The Other"


async def test_filter_holds() -> None:
    found = await ids(query(SEED, where=TrackFilter(genres_any=("rock",))), 100)
    assert found == [f"near{step:02d}" for step in range(1, 20, 2)]


async def test_seed_that_no_playlist_holds_leads_nowhere() -> None:
    assert await ids(query(placed(None, "unplaced")), 10) == []
    assert await ids(query(CATALOGUE[-1]), 10) == []
