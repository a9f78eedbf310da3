from __future__ import annotations

import pytest

from recall.fatigue import Fatigue, Hearing, fatigue
from recall.tracks import CataloguedTrack
from tests.unit.recall.tracks import track


def heard(
    track_id: str, verdict: float = 1.0, strength: float = 1.0, again: bool = False, judged: bool = False, **more: str
) -> Hearing:
    return Hearing(track(track_id, **more), verdict, strength, not judged, again)


def terms(felt: Fatigue, candidate: CataloguedTrack) -> dict[str, float]:
    """What is not 0 of what it adds to one candidate, beside others that it must not be taken for."""
    found = felt.terms([track("beside", "somebody else"), candidate])
    return {name: float(column[1]) for name, column in found.items() if column[1]}


def test_two_of_an_artist_are_welcome_and_more_of_them_tire() -> None:
    two = fatigue([heard("1", artist="x"), heard("2", artist="x")])
    assert terms(two, track("new", "x")) == {}
    four = fatigue([heard(str(n), artist="x") for n in range(4)])
    assert terms(four, track("new", "x")) == {"session_fatigue": pytest.approx(-0.10)}
    assert terms(four, track("new", "y")) == {}


def test_tiring_has_an_end_and_hearings_fade() -> None:
    many = fatigue([heard(str(n), artist="x") for n in range(40)])
    assert terms(many, track("new", "x")) == {"session_fatigue": pytest.approx(-0.20)}
    faded = fatigue([heard(str(n), artist="x", strength=0.5) for n in range(4)])
    assert terms(faded, track("new", "x")) == {}


def test_an_album_tires_beside_its_artist() -> None:
    three = fatigue([heard(str(n), artist="x", album_id="lp") for n in range(3)])
    assert terms(three, track("new", "x", album_id="lp")) == {"session_fatigue": pytest.approx(-0.09)}
    assert terms(three, track("new", "y", album_id="lp")) == {"session_fatigue": pytest.approx(-0.04)}


def test_a_like_is_no_hearing() -> None:
    assert terms(fatigue([heard(str(n), artist="x", judged=True) for n in range(9)]), track("new", "x")) == {}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([heard("t", strength=0.8)], -0.24),
        ([heard("t", 1.0), heard("t", 1.0)], 0.15),
        ([heard("t", 1.0), heard("t", 0.4)], -0.3),
        ([heard("t", 1.0), heard("t", 1.0, again=True, judged=True, strength=0.9)], 0.135),
        ([heard("t", 1.0), heard("t", 1.0), heard("t", -1.0)], -0.3),
        ([heard("t", 1.0, judged=True)], 0.0),
    ],
    ids=["once", "finished twice", "half the second time", "asked for again", "skipped in the end", "only liked"],
)
def test_a_repeat_is_wanted_or_bores(own: list[Hearing], expected: float) -> None:
    assert terms(fatigue(own), track("t", "z")).get("session_repeat", 0.0) == pytest.approx(expected)
