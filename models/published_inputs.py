"""The inputs of the published EmbeatMLP, as its weights need them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.features import DATED_COLUMNS, Encoded, Inputs, Table, Values, index_of

# Order of the acoustic columns. Each must be known.
DENSE = ("danceability", "energy", "valence", "acousticness", "liveness", "speechiness", "instrumentalness")
TEMPO_ROWS = 5


def tempo_bins(bpm: NDArray[np.float64]) -> NDArray[np.int64]:
    """The published model's row for each tempo.

    The rule is `clamp(int(bpm / 10) - 5, 1, 11)` after halving 170 bpm and above, and its table has 5 rows, so a bin
    outside them counts as 0: tempi from 100 to 169 bpm, most of music, are "unknown" to the published model. Weights
    trained with the rule need the rule.

    >>> tempo_bins(np.array([np.nan, 0, 55, 60, 75, 99.9, 100, 169.9, 170, 200])).tolist()
    [0, 0, 1, 1, 2, 4, 0, 0, 3, 0]
    """
    known = np.isfinite(bpm) & (bpm > 0)
    plain = np.where(known, bpm, 0)
    row = np.clip((np.where(plain >= 170, plain / 2, plain) / 10).astype(np.int64) - 5, 1, 11)
    return np.where(known & (row < TEMPO_ROWS), row, 0)


def encode(values: Values) -> Encoded:
    """Inputs of tracks whose dense features are all known.

    Returns:
        (B, 4) int64: key + 1, mode + 1, time signature 3..7 as 1..5, tempo bin; 0 means "unknown".
        (B, 7) float32: the dense features in the order of `DENSE`, each in 0..1 less 0.5.
    """
    column = dict(zip(DATED_COLUMNS, values.T, strict=True))
    discrete = (
        index_of(column["key"], 0, 11),
        index_of(column["mode"], 0, 1),
        index_of(column["time_signature"], 3, 7),
        tempo_bins(column["tempo"]),
    )
    dense = np.column_stack([column[name] for name in DENSE]).astype(np.float32)
    return np.column_stack(discrete), dense - np.float32(0.5)


PUBLISHED = Inputs(
    name="published",
    tables=(Table("key", 13, 8), Table("mode", 3, 4), Table("time_signature", 6, 4), Table("tempo", TEMPO_ROWS, 4)),
    width=len(DENSE),
    needed=DENSE,
    needed_count=len(DENSE),
    numbers=(),
    encode=encode,
)
