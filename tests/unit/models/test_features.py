"""What a model reads of a track."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from models.errors import FeaturesMissing
from models.features import COLUMNS, Inputs, Sound, table
from models.published_inputs import DENSE, PUBLISHED, tempo_bins
from models.rich_inputs import DATED, NAMES, RICH
from tests.unit.models.sounds import sound, sounds
from topics.records import Features


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
    assert tempo_bins(np.array([bpm], dtype=float)).tolist() == [row]


def test_unknown_discrete_features_are_index_nought() -> None:
    discrete, _ = PUBLISHED.arrays([sound(), sound(key=-1, mode=-1, time_signature=0, tempo=0)])
    assert discrete.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]


def test_known_discrete_features_are_numbered_from_one() -> None:
    low = sound(key=0, mode=0, time_signature=3, tempo=61)
    high = sound(key=11, mode=1, time_signature=7, tempo=95.5)
    discrete, _ = PUBLISHED.arrays([low, high])
    assert discrete.tolist() == [[1, 1, 1, 1], [12, 2, 5, 4]]
    assert discrete.dtype == np.int64


@pytest.mark.parametrize("beats", [1, 2, 8, 16])
def test_time_signature_outside_three_to_seven_is_unknown(beats: int) -> None:
    assert PUBLISHED.arrays([sound(time_signature=beats)])[0][0, 2] == 0


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
    _, acoustic = PUBLISHED.arrays([track])
    np.testing.assert_allclose(acoustic, [[-0.4, -0.3, -0.2, -0.1, 0, 0.1, 0.2]], atol=1e-7)
    assert acoustic.dtype == np.float32


def test_no_tracks_give_empty_arrays_of_the_right_width() -> None:
    discrete, acoustic = PUBLISHED.arrays([])
    assert (discrete.shape, acoustic.shape) == ((0, 4), (0, 7))


@pytest.mark.parametrize("name", DENSE)
def test_a_track_without_one_dense_feature_cannot_be_embedded_and_is_named(name: str) -> None:
    track = sound(**{name: None})
    assert not PUBLISHED.can_embed(track)
    assert PUBLISHED.lacking(track) == name
    with pytest.raises(FeaturesMissing, match=f"expected {name} of track 1, got none"):
        PUBLISHED.arrays([sound(), track])


def test_a_track_without_discrete_features_can_be_embedded() -> None:
    assert PUBLISHED.can_embed(sound())


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
    loudness: float | None = 400.0
    key: int | None = 12
    mode: int | None = 2
    time_signature: int | None = -4
    tempo: float | None = field(default=math.nan)


def test_discrete_values_beyond_every_table_are_unknown() -> None:
    assert PUBLISHED.arrays([Sound(Loose())])[0].tolist() == [[0, 0, 0, 0]]


def test_a_dense_feature_that_is_not_a_number_counts_as_missing() -> None:
    track = Sound(Loose(energy=math.nan))
    assert PUBLISHED.lacking(track) == "energy"
    with pytest.raises(FeaturesMissing, match="expected energy of track 0"):
        PUBLISHED.arrays([track])


@pytest.mark.parametrize("inputs", [DATED, RICH, PUBLISHED], ids=lambda one: one.name)
def test_rows_of_a_batch_do_not_depend_on_each_other(inputs: Inputs) -> None:
    tracks = sounds(200)
    together = inputs.arrays(tracks)
    for at, track in enumerate(tracks):
        alone = inputs.arrays([track])
        assert (together[0][at] == alone[0][0]).all()
        assert (together[1][at] == alone[1][0]).all()


def rich(name: str, track: Sound) -> float:
    """One number of our own inputs."""
    return float(RICH.arrays([track])[1][0, NAMES.index(name)])


def flags(track: Sound) -> list[str]:
    """The numbers that our own inputs say are unknown."""
    return [name for name, flag in zip(NAMES, RICH.arrays([track])[1][0, -10:], strict=True) if flag]


def test_a_table_holds_what_is_known_in_the_order_of_its_columns() -> None:
    track = sound(key=9, loudness=-5.9, mode=0, tempo=118.2, time_signature=4, duration_ms=236_960)
    row = dict(zip(COLUMNS, table([track])[0].tolist(), strict=True))
    expected = {"energy": 0.6, "key": 9, "loudness": -5.9, "mode": 0, "tempo": 118.2, "duration_ms": 236_960}
    assert {name: row[name] for name in expected} == expected
    assert np.isnan(table([Sound(None, None), Sound(Loose(energy=math.inf), None)])[:, 1]).all()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("loudness", -3.4, 1.0),  # (-3.4 + 8.4) / 5
        ("danceability", 0.5, -0.5),  # log-odds of a half are 0: (0 - 0.42) / 0.84
        ("acousticness", 0.9, 1.400),  # (ln 9 + 2.06) / 3.04
        ("speechiness", 0.04, -0.693),  # (ln 0.05 + 2.49) / 0.73
        ("tempo", 60.0, -2.771),  # an octave below 120 bpm: (-1 + 0.03) / 0.35
    ],
)
def test_numbers_are_unbent_and_scaled(name: str, value: float, expected: float) -> None:
    assert rich(name, sound(**{name: value})) == pytest.approx(expected, abs=1e-3)


def test_a_length_counts_by_its_logarithm() -> None:
    assert rich("duration_ms", sound(duration_ms=240_000)) == pytest.approx(
        (math.log(240_000) - 12.24) / 0.39, abs=1e-3
    )


def test_half_a_tempo_stands_at_the_same_place_of_its_octave() -> None:
    slow, fast, other = (RICH.arrays([sound(tempo=bpm)])[1][0, 10:16] for bpm in (70.0, 140.0, 100.0))
    np.testing.assert_allclose(slow, fast, atol=1e-6)
    assert np.abs(slow - other).max() > 0.5


def test_unknown_numbers_are_flagged_and_nought_which_known_ones_are_not() -> None:
    track = sound(energy=None, tempo=0.0)
    assert flags(track) == ["energy", "loudness", "tempo", "duration_ms"]
    acoustic = RICH.arrays([track])[1][0]
    for name in flags(track):
        assert rich(name, track) == 0
    assert not acoustic[10:16].any()
    assert flags(sound(loudness=-7.0, tempo=99.0, duration_ms=1)) == []


def test_a_flag_and_the_columns_of_each_number_are_what_training_hides() -> None:
    whole = sound(loudness=-7.0, tempo=99.0, duration_ms=200_000)
    for name, number in zip(NAMES, RICH.numbers, strict=True):
        length = None if name == "duration_ms" else whole.duration_ms
        less = {name: None} if name != "duration_ms" else {}
        gone = Sound(msgspec.structs.replace(whole.features, **less), length)
        before, after = RICH.arrays([whole])[1][0], RICH.arrays([gone])[1][0]
        hidden = before.copy()
        hidden[list(number.columns)] = 0
        hidden[number.flag] = 1
        np.testing.assert_array_equal(hidden, after)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2014", 0.0),
        ("2004-12-31", -1.0),  # the year alone: else all of an album would stand at one place
        ("1994-01", -2.0),
        ("0001", -5.0),
        ("2024-05-01", 1.0),
        ("2026-11", 1.0),  # newer than anything it was trained on
    ],
)
def test_a_release_counts_by_its_year(date: str, expected: float) -> None:
    assert DATED.arrays([sound()._replace(release_date=date)])[1][0, -2:].tolist() == pytest.approx([expected, 0])


def test_an_unknown_year_is_flagged() -> None:
    assert DATED.arrays([sound()])[1][0, -2:].tolist() == [0, 1]


def test_weights_without_years_read_the_sound_alone() -> None:
    track = sounds(1)[0]
    dated = track._replace(release_date="1970")
    for inputs in (RICH, PUBLISHED):
        for one, other in zip(inputs.arrays([track]), inputs.arrays([dated]), strict=True):
            np.testing.assert_array_equal(one, other)
    one, other = DATED.arrays([track]), RICH.arrays([track])
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1][:, :-2], other[1])


def test_extremes_and_values_out_of_range_stay_finite_and_near() -> None:
    for value in (0.0, 1.0):
        every = dict.fromkeys(DENSE, value)
        _, acoustic = RICH.arrays([sound(**every, loudness=-80.0, tempo=300.0, duration_ms=0)])
        assert np.isfinite(acoustic).all()
        assert np.abs(acoustic).max() <= 5
    _, loose = RICH.arrays([Sound(Loose(energy=-3.0, valence=7.0), 10**15)])
    assert np.abs(loose).max() <= 5


@pytest.mark.parametrize(("known", "enough"), [(3, False), (4, True)])
def test_four_numbers_are_enough(known: int, enough: bool) -> None:
    every = {"loudness": -7.0, "tempo": 99.0, "energy": 0.5, "valence": 0.3}
    track = Sound(Features(key=1, mode=1, time_signature=4, **dict(list(every.items())[:known])))
    assert RICH.can_embed(track) is enough
    assert (RICH.lacking(track) is None) is enough
