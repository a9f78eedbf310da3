from __future__ import annotations

from collections.abc import Mapping, Sequence

from recall.channels import GenrePopular
from recall.index.protocol import TrackFilter
from recall.query import RecallQuery
from streams.plays import PlayBoard
from streams.state.popularity import Trend
from tests.brute_index import BruteIndex
from tests.unit.recall.tracks import at

NOW = 1_700_000_000_000


class Counted:
    """Plays as Redis would have counted them."""

    def __init__(self, plays: Mapping[str, float]) -> None:
        self._plays = plays

    async def popular(self, limit: int, *, now_ms: int) -> Sequence[tuple[str, float]]:
        return sorted(self._plays.items(), key=lambda pair: -pair[1])[:limit]

    async def trends(self, *, now_ms: int) -> Sequence[Trend]:
        return ()


def query(*genres: str) -> RecallQuery:
    return RecallQuery((), (), genres, 0.5, TrackFilter(genres_any=genres), seeded=False, now_ms=NOW)


CATALOGUE = [
    at(0, "hit", "a", genres=("rock",), popularity=90.0),
    at(1, "sleeper", "b", genres=("rock",), popularity=0.0),
    at(2, "elsewhere", "c", genres=("jazz",), popularity=0.0),
    *[at(3 + i, f"filler{i}", "d", genres=("rock",), popularity=40.0) for i in range(5)],
]


async def found(index: BruteIndex, board: PlayBoard, *genres: str, limit: int = 2) -> list[str]:
    return [one.track.track_id for one in await GenrePopular(index, board).candidates(query(*genres), limit)]


async def test_what_people_play_joins_what_the_catalogue_calls_popular() -> None:
    index = BruteIndex(CATALOGUE)
    board = PlayBoard(Counted({"sleeper": 50.0, "elsewhere": 60.0}), index)
    assert await found(index, board, "rock") == ["hit", "filler0"]
    await board.refresh()
    # Half of 0.9 for the hit; half of log(51) / log(61), or 0.478, for the sleeper.
    assert await found(index, board, "rock") == ["sleeper", "hit"]
    assert await found(index, board) == ["elsewhere", "sleeper"]


async def test_withdrawn_track_is_gone_at_once_however_much_it_was_played() -> None:
    index = BruteIndex(CATALOGUE)
    board = PlayBoard(Counted({"sleeper": 50.0}), index)
    await board.refresh()
    await index.withdraw(["sleeper"])
    assert await found(index, board, "rock") == ["hit", "filler0"]
    assert await found(index, board) == ["hit", "filler0"]
