"""The inputs of our own EmbeatMLP: all that is known of a sound, spread evenly, and what is unknown said so.

`DATED` are those of the weights that ship: they also read the year of the release. `RICH` are those without, of weights
that shipped before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.features import DATED_COLUMNS, YEAR, Encoded, Inputs, Number, Table, Values, index_of

Column = NDArray[np.float64]

# Order of the acoustic columns, with centre and spread of each after its transform: rounded means and standard
# deviations of 234,582 recordings, fixed, so that one scaler serves every catalogue.
SCALES = {
    "danceability": (0.42, 0.84),
    "energy": (0.68, 1.40),
    "loudness": (-8.4, 5.0),
    "speechiness": (-2.49, 0.73),
    "acousticness": (-2.06, 3.04),
    "instrumentalness": (-8.5, 5.7),
    "liveness": (-1.76, 0.68),
    "valence": (-0.05, 1.38),
    "tempo": (-0.03, 0.35),
    "duration_ms": (12.24, 0.39),
}
NAMES = tuple(SCALES)
HARMONICS = (1, 2, 3)
FARTHEST = 5.0
# Centre and spread of the years of 106,720 releases, rounded; the newest of them counts for all that come after it.
CENTRE, SPREAD, NEWEST = 2014.0, 10.0, 2024.0
NEEDED = 4
_VALUES, _PERIODIC = len(NAMES), 2 * len(HARMONICS)


def transformed(column: dict[str, Column]) -> Column:
    """(B, 10) features in the order of `NAMES`, skewed ones unbent, in units of their spread; NaN = unknown.

    Shares that pile up at both ends become log-odds, long-tailed ones and lengths logarithms, a tempo octaves from
    120 bpm.
    """
    unbent = (
        _log_odds(column["danceability"], 0.01),
        _log_odds(column["energy"], 0.002),
        column["loudness"],
        np.log(np.clip(column["speechiness"], 0, 1) + 0.01),
        _log_odds(column["acousticness"], 1e-5),
        _log_odds(column["instrumentalness"], 1e-6),
        np.log(np.clip(column["liveness"], 0, 1) + 0.01),
        _log_odds(column["valence"], 0.01),
        octaves(column["tempo"]),
        np.log(np.maximum(column["duration_ms"], 1000)),
    )
    centre, spread = np.array(list(SCALES.values())).T
    return np.asarray((np.column_stack(unbent) - centre) / spread)


def octaves(bpm: Column) -> Column:
    """log2 of a tempo over 120 bpm; a tempo of 0 is unknown.

    >>> octaves(np.array([60.0, 120.0, 240.0, 0.0])).tolist()
    [-1.0, 0.0, 1.0, nan]
    """
    return np.log2(np.where(bpm > 0, bpm, np.nan) / 120)


def _log_odds(share: Column, least: float) -> Column:
    kept = np.clip(share, least, 1 - least)
    return np.log(kept / (1 - kept))


def encode(values: Values) -> Encoded:
    """Inputs of tracks.

    Returns:
        (B, 3) int64: key + 1, mode + 1, time signature 3..7 as 1..5; 0 means "unknown".
        (B, 26) float32: the ten numbers in units of their spread; sines and cosines of the tempo's place in its octave,
        so that 70 and 140 bpm are alike; ten flags, 1 where a number is unknown, and then its own columns are 0.
    """
    column = dict(zip(DATED_COLUMNS, values.T, strict=True))
    discrete = (
        index_of(column["key"], 0, 11),
        index_of(column["mode"], 0, 1),
        index_of(column["time_signature"], 3, 7),
    )
    numbers = transformed(column)
    angles = np.outer(2 * np.pi * octaves(column["tempo"]), HARMONICS)
    known = np.nan_to_num(np.hstack([np.clip(numbers, -FARTHEST, FARTHEST), np.sin(angles), np.cos(angles)]))
    return np.column_stack(discrete), np.hstack([known, np.isnan(numbers)]).astype(np.float32)


def encode_dated(values: Values) -> Encoded:
    """As `encode`, with two acoustic columns more: tens of years from 2014, and a flag, 1 where the year is unknown.

    The year alone counts: by the day all tracks of an album would stand at one place.
    """
    discrete, acoustic = encode(values)
    year = np.clip((np.minimum(values[:, DATED_COLUMNS.index(YEAR)], NEWEST) - CENTRE) / SPREAD, -FARTHEST, FARTHEST)
    return discrete, np.column_stack([acoustic, np.nan_to_num(year), np.isnan(year)]).astype(np.float32)


def _number(at: int) -> Number:
    periodic = tuple(range(_VALUES, _VALUES + _PERIODIC)) if NAMES[at] == "tempo" else ()
    return Number((at, *periodic), _VALUES + _PERIODIC + at)


RICH = Inputs(
    name="rich",
    tables=(Table("key", 13, 8), Table("mode", 3, 4), Table("time_signature", 6, 4)),
    width=_VALUES + _PERIODIC + _VALUES,
    needed=NAMES,
    needed_count=NEEDED,
    numbers=tuple(map(_number, range(_VALUES))),
    encode=encode,
)
DATED = replace(
    RICH, name="dated", width=RICH.width + 2, encode=encode_dated, year=Number((RICH.width,), RICH.width + 1)
)
