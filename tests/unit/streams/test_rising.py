from __future__ import annotations

import pytest

from streams.plays import PlayBoard, rises
from streams.state.popularity import Trend
from tests.brute_index import BruteIndex
from tests.unit.recall.tracks import at

EVEN = [Trend(f"even{i}", 10.0, 100.0) for i in range(9)]


def test_what_is_played_more_than_its_past_would_have_it_rises() -> None:
    # The one in the middle has a tenth of its plays of late. Of 20 plays so 2 were expected, and 12 came.
    found = rises([*EVEN, Trend("new", 12.0, 20.0)])
    assert found == [("new", pytest.approx(10 / 3**0.5))]


def test_few_plays_are_no_rise_and_neither_is_a_day_on_which_all_is_played_more() -> None:
    assert rises([*EVEN, Trend("few", 1.0, 1.0)]) == []
    assert rises([Trend(one.track_id, 5 * one.recent, one.plays) for one in EVEN]) == []
    # Surely more than the 1,000 that were expected, and not by half.
    assert rises([*EVEN, Trend("hit", 1_200.0, 10_000.0)]) == []
    assert rises([Trend("first", 50.0, 50.0), Trend("second", 3.0, 3.0)]) == []
    assert rises([]) == rises([Trend("forgotten", 1.0, 0.0)]) == []


def test_greater_rise_comes_first_and_ties_go_by_id() -> None:
    found = rises([*EVEN, Trend("c", 20.0, 50.0), Trend("b", 20.0, 50.0), Trend("a", 60.0, 100.0)])
    assert [track_id for track_id, _ in found] == ["a", "b", "c"]


class Counted:
    async def popular(self, limit: int, *, now_ms: int) -> list[tuple[str, float]]:
        return [("even0", 100.0)]

    async def trends(self, *, now_ms: int) -> list[Trend]:
        return [*EVEN, Trend("up", 60.0, 100.0), Trend("little", 20.0, 50.0), Trend("gone", 80.0, 100.0)]


async def test_board_knows_what_rises_by_genre_and_only_what_the_catalogue_holds() -> None:
    tracks = [at(0, "even0", genres=("rock",)), at(1, "up", genres=("rock", "pop")), at(2, "little", genres=("pop",))]
    board = PlayBoard(Counted(), BruteIndex(tracks))
    assert list(board.rising((), 9)) == []
    await board.refresh()
    assert list(board.rising((), 9)) == ["up", "little"]
    assert list(board.rising(("pop", "rock"), 9)) == ["up", "little"]
    assert list(board.rising(("rock",), 9)) == ["up"]
    assert list(board.rising(("pop",), 1)) == ["up"]
    assert list(board.rising(("jazz",), 9)) == []
    assert list(board.most_played((), 9)) == ["even0"]
