from __future__ import annotations

import numpy as np
import pytest

from recall.pockets import Pocket, pockets, soft_top_k
from recall.query import Start
from recall.tracks import IndexedTrack
from tests.unit.recall.tracks import at, direction, track

# Three kinds of music, 120 degrees apart, of weights 6, 4 and 2.
STARTS = [
    Start(at(degrees, f"t{degrees}"), weight)
    for degrees, weight in ((0, 3.0), (4, 3.0), (120, 2.0), (124, 2.0), (240, 1.0), (244, 1.0))
]


def angles(found: list[Pocket]) -> list[int]:
    return [round(np.degrees(np.arctan2(one.direction[1], one.direction[0]))) % 360 for one in found]


def test_each_kind_of_music_is_a_pocket_the_heaviest_first() -> None:
    three = pockets(STARTS, 1.0, 3)
    assert angles(three) == [2, 122, 242]
    assert [tuple(start.track.track_id for start in one.members) for one in three] == [
        ("t0", "t4"),
        ("t120", "t124"),
        ("t240", "t244"),
    ]


def test_pockets_settle_around_their_middles() -> None:
    # From 0 and 110, the furthest apart, 50 begins nearer to 0; the middles of both then draw it over.
    starts = [Start(at(0, "t0"), 3.0), *(Start(at(degrees, f"t{degrees}"), 1.0) for degrees in (50, 60, 110))]
    found = [{start.track.track_id for start in one.members} for one in pockets(starts, 1.0, 2)]
    assert sorted(found, key=len) == [{"t0"}, {"t50", "t60", "t110"}]


def test_order_of_the_starts_changes_nothing() -> None:
    assert angles(pockets(STARTS[::-1], 1.0, 3)) == angles(pockets(STARTS, 1.0, 3))


def test_of_a_person_the_heaviest_pocket_comes_first_and_breadth_adds_the_others() -> None:
    assert [angles(pockets(STARTS, breadth, 3)) for breadth in (0.0, 0.5, 1.0)] == [[2], [2, 122], [2, 122, 242]]


def test_seeds_have_one_thread_that_breadth_unravels() -> None:
    two = [Start(at(0, "a"), 1.0), Start(at(80, "b"), 1.0)]
    assert angles(pockets(two, 0.0, 3, thread=True)) == [40]
    assert angles(pockets(two, 1.0, 3, thread=True)) == [0, 80]
    low, high = angles(pockets(two, 0.5, 3, thread=True))
    assert 0 < low < 40 < high < 80


def test_starts_that_cancel_out_have_no_thread_but_their_pockets() -> None:
    opposite = [Start(at(0, "a"), 1.0), Start(at(180, "b"), 1.0)]
    for breadth in (0.0, 0.5, 1.0):
        assert angles(pockets(opposite, breadth, 3, thread=True))[0] in (0, 180)


def test_starts_without_a_vector_are_in_no_pocket() -> None:
    silent = Start(IndexedTrack(track("silent")), 9.0)
    (only,) = pockets([silent, Start(at(10, "t"), 1.0)], 1.0, 3)
    assert [start.track.track_id for start in only.members] == ["t"]
    assert pockets([silent], 1.0, 3) == []


def test_equal_starts_are_one_pocket() -> None:
    same = [Start(at(30, f"t{n}"), 1.0) for n in range(5)]
    assert angles(pockets(same, 1.0, 3)) == [30]


def test_soft_top_k_asks_for_likeness_to_a_few_and_not_to_the_middle() -> None:
    two = pockets([Start(at(0, "a"), 1.0), Start(at(90, "b"), 1.0)], 0.0, 3, thread=True)[0]
    near_one, between = soft_top_k(np.stack([direction(0), direction(45)]), two)
    # Worked by hand: cosines 1 and 0 with weights 1 and exp(-10); twice 0.7071.
    assert near_one == pytest.approx(1 / (1 + np.exp(-10.0)), abs=1e-5)
    assert between == pytest.approx(np.sqrt(0.5), abs=1e-5)


def test_soft_top_k_looks_at_the_nearest_starts_only() -> None:
    many = [Start(at(degrees, f"t{degrees}"), 1.0) for degrees in (0, 0, 0, 0, 180, 180, 180)]
    pocket = pockets(many, 0.0, 1, thread=True)[0]
    assert soft_top_k(direction(0)[None], pocket)[0] == pytest.approx(1.0)
