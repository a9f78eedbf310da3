"""Pairs of tracks of the real catalogue, each judged by hand: are they one recording?

`bench/draw_pairs.py` drew them by rules that know nothing of the code under test (tracks of one artist with equal
titles, of equal and of other length; equal titles of different artists; tracks that sound the same to a hundredth
whatever they are called; a title that begins with the whole of another, by what follows; titles that only begin
alike), and all that it drew were judged, by title, billing, album, date, length and sound. One recording is one
performance in one production, whatever it was released on: remastered, cut for the radio, mono, a bonus track. Live,
acoustic, remixed, extended, instrumental, recorded again, with another guest or cut from a mix it is another one.
Where that could not be told the verdict is `unsure`, and the pair does not count. `drawn` tells the two drawings: the
bounds of `recall/duplicates.py` were set with the first at hand, and the second was judged before they met it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest

from recall.duplicates import same_recording
from recall.tracks import CataloguedTrack
from topics.records import ArtistRef, Features

FEATURES = (
    "danceability",
    "energy",
    "valence",
    "acousticness",
    "instrumentalness",
    "speechiness",
    "liveness",
    "tempo",
)


def side(row: Mapping[str, str], name: str) -> CataloguedTrack:
    def cell(column: str) -> str | None:
        return row[f"{name}_{column}"] or None

    duration = cell("duration_ms")
    values = {feature: float(value) for feature in FEATURES if (value := cell(feature)) is not None}
    return CataloguedTrack(
        track_id=row[f"{name}_track_id"],
        title=row[f"{name}_title"],
        artists=(ArtistRef(artist_id=cell("artist_id"), name=cell("artist_name")),),
        duration_ms=int(float(duration)) if duration else None,
        features=Features(**values) if values else None,
    )


def pairs(drawn: str) -> list[tuple[bool, CataloguedTrack, CataloguedTrack]]:
    with Path(__file__).with_name("recordings.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["drawn"] == drawn and row["verdict"] != "unsure"]
    return [(row["verdict"] == "same", side(row, "a"), side(row, "b")) for row in rows]


@pytest.mark.parametrize(("drawn", "at_least"), [("first", 290), ("second", 100)])
def test_one_recording_is_found_as_one_and_no_other(drawn: str, at_least: int) -> None:
    judged = pairs(drawn)
    assert len(judged) >= at_least
    found = [(truth, same_recording(one, other), f"{one.title} | {other.title}") for truth, one, other in judged]
    wrong = [names for truth, said, names in found if said and not truth]
    missed = [names for truth, said, names in found if truth and not said]
    right = sum(truth and said for truth, said, _ in found)
    assert right / (right + len(wrong)) >= 0.98, wrong
    assert right / (right + len(missed)) >= 0.9, missed


def test_order_of_two_tracks_is_irrelevant() -> None:
    for _, one, other in [*pairs("first"), *pairs("second")]:
        assert same_recording(one, other) == same_recording(other, one)
