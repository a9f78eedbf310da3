"""Terms in columns: a candidate says the same, in whatever order it stands and whenever it is put together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recall.merge import Merged
from recall.scored import Scored
from tests.unit.recall.tracks import track


def came(track_id: str, because: tuple[str, ...] = (), **terms: float) -> Merged:
    return Merged(track(track_id), {"acoustic": 3}, terms, {"acoustic": "Sounds like it"}, because)


def test_a_candidate_has_what_it_came_with_and_what_was_added() -> None:
    scored = Scored.of([came("a", ("x",), acoustic=0.5), came("b", acoustic=0.25)]).plus(
        {"pull": np.array([0.0, 0.125]), "push": np.array([-0.25, 0.0])},
        {"pull": [None, "Close to y"], "push": ["Nobody is told", None]},
        ["x", "y"],
    )
    pushed, drawn = scored
    assert pushed.contributions == {"acoustic": 0.5, "push": -0.25}
    assert pushed.reasons == {"acoustic": "Sounds like it", "push": "Nobody is told"}
    assert pushed.because == ("x",)
    assert drawn.contributions == {"acoustic": 0.25, "pull": 0.125}
    assert drawn.reasons["pull"] == "Close to y"
    assert drawn.because == ("y",)
    assert [one.score for one in scored] == scored.scores.tolist() == [0.25, 0.375]


def test_a_term_counts_whether_it_was_brought_or_added() -> None:
    brought = Scored.of([came("a", pull=0.5), came("b", acoustic=1.0)])
    assert brought.term("pull").tolist() == [0.5, 0.0]
    assert brought.plus({"push": np.array([-1.0, -2.0])}).term("push").tolist() == [-1.0, -2.0]
    assert brought.term("push").tolist() == [0.0, 0.0]


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0, -3.0, float("nan"), float("inf")]), max_size=8), st.booleans())
def test_the_best_is_first_whether_or_not_scores_were_asked_for_before(worth: list[float], asked: bool) -> None:
    names = [f"t{7 - at}" for at in range(len(worth))]
    scored = Scored.of([came(name, acoustic=0.5) for name in names])
    if asked:
        assert len(scored.scores) == len(worth)
    ordered = scored.plus({"x": np.array(worth)}).best_first()
    finite = {name: value for name, value in zip(names, worth, strict=True) if np.isfinite(value)}
    expected = sorted(finite, key=lambda name: (-finite[name], name)) + sorted(set(names) - finite.keys())
    assert [one.track.track_id for one in ordered] == [one.track_id for one in ordered.tracks] == expected
    for one, score in zip(ordered, ordered.scores, strict=True):
        assert one.score == pytest.approx(score, nan_ok=True)


def test_what_is_added_to_some_leaves_the_others_alone() -> None:
    scored = Scored.of([came(name, acoustic=0.5) for name in "abc"]).plus({"x": np.array([0.1, 0.2, 0.3])})
    taken = scored.take(np.array([2, 0]))
    more = taken.plus({"y": np.array([1.0, 2.0])})
    assert [one.track.track_id for one in more] == ["c", "a"]
    assert [one.contributions["x"] for one in more] == [0.3, 0.1]
    assert [sorted(one.contributions) for one in scored[:2]] == [["acoustic", "x"]] * 2
