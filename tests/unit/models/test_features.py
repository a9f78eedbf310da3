"""What a model reads of a track."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from models.errors import FeaturesMissing
from models.features import DENSE, can_embed, missing, tempo_bin, to_arrays
from tests.unit.models.sounds import sound, sounds


@pytest.mark.parametrize(
    ("bpm", "row"),
    [
        (None, 0),
        (0, 0),
        (55, 1),  # 0, raised to 1
        (69.9, 1),
        (70, 2),
        (99.9, 4),
        (100, 0),  # 5: outside the table
        (169.9, 0),  # 11
        (170, 3),  # halved: 85
        (199.9, 4),  # halved: 99.95
        (200, 0),  # halved: 100
        (300, 0),  # halved: 150
        (-3, 0),
        (math.nan, 0),
        (math.inf, 0),
    ],
)
def test_tempo_falls_into_the_row_of_the_published_rule(bpm: float | None, row: int) -> None:
    assert tempo_bin(bpm) == row


def test_unknown_discrete_features_are_index_nought() -> None:
    discrete, _ = to_arrays([sound(), sound(key=-1, mode=-1, time_signature=0, tempo=0)])
    assert discrete.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]


def test_known_discrete_features_are_numbered_from_one() -> None:
    low = sound(key=0, mode=0, time_signature=3, tempo=61)
    high = sound(key=11, mode=1, time_signature=7, tempo=95.5)
    discrete, _ = to_arrays([low, high])
    assert discrete.tolist() == [[1, 1, 1, 1], [12, 2, 5, 4]]
    assert discrete.dtype == np.int64


@pytest.mark.parametrize("beats", [1, 2, 8, 16])
def test_time_signature_outside_three_to_seven_is_unknown(beats: int) -> None:
    assert to_arrays([sound(time_signature=beats)])[0][0, 2] == 0


def test_dense_features_come_in_the_published_order_less_a_half() -> None:
    track = sound(
        danceability=0.1,
        energy=0.2,
        valence=0.3,
        acousticness=0.4,
        liveness=0.5,
        speechiness=0.6,
        instrumentalness=0.7,
    )
    _, acoustic = to_arrays([track])
    np.testing.assert_allclose(acoustic, [[-0.4, -0.3, -0.2, -0.1, 0, 0.1, 0.2]], atol=1e-7)
    assert acoustic.dtype == np.float32


def test_no_tracks_give_empty_arrays_of_the_right_width() -> None:
    discrete, acoustic = to_arrays([])
    assert (discrete.shape, acoustic.shape) == ((0, 4), (0, 7))


@pytest.mark.parametrize("name", DENSE)
def test_a_track_without_one_dense_feature_cannot_be_embedded_and_is_named(name: str) -> None:
    track = sound(**{name: None})
    assert not can_embed(track)
    assert missing(track) == [name]
    with pytest.raises(FeaturesMissing, match=f"expected {name} of track 1, got none"):
        to_arrays([sound(), track])


def test_a_track_without_discrete_features_can_be_embedded() -> None:
    assert can_embed(sound())


@dataclass(frozen=True)
class Loose:
    """What another program may hand over: nothing has checked its ranges."""

    danceability: float | None = 0.5
    energy: float | None = 0.5
    valence: float | None = 0.5
    acousticness: float | None = 0.5
    liveness: float | None = 0.5
    speechiness: float | None = 0.5
    instrumentalness: float | None = 0.5
    key: int | None = 12
    mode: int | None = 2
    time_signature: int | None = -4
    tempo: float | None = field(default=math.nan)


def test_discrete_values_beyond_every_table_are_unknown() -> None:
    assert to_arrays([Loose()])[0].tolist() == [[0, 0, 0, 0]]


def test_a_dense_feature_that_is_not_a_number_counts_as_missing() -> None:
    track = Loose(energy=math.nan)
    assert missing(track) == ["energy"]
    with pytest.raises(FeaturesMissing, match="expected energy of track 0"):
        to_arrays([track])


def test_rows_of_a_batch_do_not_depend_on_each_other() -> None:
    tracks = sounds(200)
    together = to_arrays(tracks)
    for at, track in enumerate(tracks):
        alone = to_arrays([track])
        assert (together[0][at] == alone[0][0]).all()
        assert (together[1][at] == alone[1][0]).all()
