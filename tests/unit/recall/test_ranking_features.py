"""The numbers that the ranking sees, by hand."""

from __future__ import annotations

import pytest

from recall.index.protocol import NO_FILTER
from recall.merge import Merged
from recall.query import RecallQuery, Start
from recall.ranking_features import COLUMN, FEATURES, NAMES, SIZE, Scene, at_positions, features_of
from recall.tracks import ACOUSTIC, IndexedTrack
from tests.unit.recall.tracks import at
from topics.records import Features, ListeningContext

DAY = 86_400_000
NOW = 19_723 * DAY  # 2024-01-01


def query(*starts: tuple[IndexedTrack, float]) -> RecallQuery:
    found = tuple(Start(indexed, weight) for indexed, weight in starts)
    return RecallQuery(found, (), (), 0.5, NO_FILTER, False, NOW)


def row(one: IndexedTrack, *starts: tuple[IndexedTrack, float], **more: object) -> dict[str, float]:
    ranks = more.pop("ranks", {})
    contributions = more.pop("contributions", {"acoustic": 0.25})
    scene = Scene(
        query=query(*starts),
        vectors={one.track.track_id: one.vectors[ACOUSTIC]} if one.vectors else {},
        heard=more.pop("heard", {}),
        followed=more.pop("followed", frozenset()),
        context=more.pop("context", None),
    )
    (found,) = features_of([Merged(one.track, ranks, contributions, {})], scene)
    return dict(zip(NAMES, found.tolist(), strict=True))


def test_each_name_stands_once_and_a_row_has_them_all() -> None:
    assert len(set(NAMES)) == SIZE == len(FEATURES) <= 43


def test_a_channel_counts_by_its_reciprocal_rank_and_strange_ones_share_a_column() -> None:
    found = row(at(0, "t"), ranks={"acoustic": 0, "fresh": 60, "one": 20, "two": 60})
    assert found["acoustic"] == 1.0
    assert found["fresh"] == 0.5
    assert found["other_channel"] == 0.75
    assert found["same_artist"] == 0.0


def test_the_session_is_taken_as_it_is_and_the_score_less_the_mean() -> None:
    found = row(at(0, "t"), contributions={"acoustic": 0.5, "session_finished": 0.2, "session_skipped": -0.3})
    assert (found["session_finished"], found["session_skipped"]) == (0.2, -0.3)
    scores = [0.4, 1.2, float("nan"), 0.2]
    given = [Merged(at(0, "t").track, {}, {"x": score}, {}) for score in scores]
    rows = features_of(given, Scene(query(), {}, {}, frozenset(), None))
    assert rows[:, COLUMN["prior_score"]] == pytest.approx([-0.2, 0.6, 0.0, -0.4])


def test_likeness_is_the_greatest_cosine_to_a_start() -> None:
    assert row(at(0, "t"), (at(60, "a"), 1.0), (at(90, "b"), 9.0))["likeness"] == pytest.approx(0.5)
    assert row(at(0, "t"), (at(170, "a"), 1.0))["likeness"] == 0.0
    assert row(IndexedTrack(at(0, "t").track), (at(0, "a"), 1.0))["likeness"] == 0.0


@pytest.mark.parametrize(
    ("released", "expected"),
    [
        ("2024-01-01", 1.0),
        ("2023-12-04", 0.5),  # 28 days before
        ("2024", 1.0),
        ("2030-05", 1.0),
        ("1970-01-01", 0.0),
        ("0000-02-30", 0.0),
        ("2023-11-31", 0.5 ** (32 / 28)),  # counts as the 30th
        (None, 0.0),
    ],
)
def test_a_release_is_half_as_fresh_after_four_weeks(released: str | None, expected: float) -> None:
    assert row(at(0, "t", release_date=released))["freshness"] == pytest.approx(expected, abs=1e-6)


def test_the_past_with_genre_and_artist_counts_by_the_weight_of_the_starts() -> None:
    starts = ((at(0, "a", "x", genres=("rock",)), 3.0), (at(9, "b", "y", genres=("rock", "folk")), 1.0))
    found = row(at(0, "t", "y", genres=("folk", "jazz")), *starts, followed=frozenset({"y"}))
    assert (found["genre_share"], found["artist_share"], found["followed"]) == (0.25, 0.25, 1.0)
    assert row(at(0, "t", "z", genres=("jazz",)), *starts)["genre_share"] == 0.0
    assert row(at(0, "t", "x", genres=("rock",)), *starts)["genre_share"] == 1.0


def test_what_was_heard_fades() -> None:
    assert row(at(0, "t"), heard={"t": NOW})["heard"] == 1.0
    assert row(at(0, "t"), heard={"t": NOW - 28 * DAY, "u": NOW})["heard"] == pytest.approx(0.5)
    assert row(at(0, "t"), heard={"t": NOW + DAY})["heard"] == 1.0
    assert row(at(0, "t"), heard={"u": NOW})["heard"] == 0.0


def test_energy_is_weighed_by_the_hour_and_by_what_somebody_does() -> None:
    loud = at(0, "t", features=Features(energy=0.9), popularity=80.0)
    noon = row(loud, context=ListeningContext(local_hour=15, activity="Running", device="speaker"))
    assert noon["energy_by_day"] == pytest.approx(0.4)
    assert noon["energy_by_activity"] == pytest.approx(0.4)
    assert noon["popular_in_company"] == noon["popularity"] == 0.8
    night = row(loud, context=ListeningContext(local_hour=3, activity="sleep", device="phone"))
    assert night["energy_by_day"] == pytest.approx(-0.4)
    assert night["energy_by_activity"] == pytest.approx(-0.4)
    assert night["popular_in_company"] == 0.0
    unknown = row(at(0, "t"), context=ListeningContext(local_hour=15, activity="juggling"))
    assert unknown["energy_by_day"] == unknown["energy_by_activity"] == 0.0
    assert row(loud)["day"] == 0.0


def test_a_logged_row_has_its_position_and_four_decimals() -> None:
    (found,) = features_of([Merged(at(0, "t").track, {"fresh": 1}, {}, {})], Scene(query(), {}, {}, frozenset(), None))
    logged = at_positions(found[None], [2])[0]
    assert logged[COLUMN["position"]] == 0.5  # 1 / log2(4)
    assert logged[COLUMN["fresh"]] == 0.9836  # 60 / 61
    assert found[COLUMN["position"]] == 0.0
