"""What a model reads of a track, and how that becomes the two inputs of its network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import FeatureShapeError, FeaturesMissing

# How a recording sounds: the order of the columns of `table`.
COLUMNS = (
    "danceability",
    "energy",
    "key",
    "loudness",
    "mode",
    "speechiness",
    "acousticness",
    "instrumentalness",
    "liveness",
    "valence",
    "tempo",
    "time_signature",
    "duration_ms",
)
# The same with the year of the release, which is no sound: the columns of `dated_table`.
YEAR = "year"
DATED_COLUMNS = (*COLUMNS, YEAR)
_of_features = attrgetter(*COLUMNS[:-1])
_NOTHING = (None,) * (len(COLUMNS) - 1)

Values = NDArray[np.float64]
Encoded = tuple[NDArray[np.int64], NDArray[np.float32]]


class AudioFeatures(Protocol):
    """What is known of how a recording sounds; `None` = unknown."""

    @property
    def danceability(self) -> float | None: ...  # noqa: D102
    @property
    def energy(self) -> float | None: ...  # noqa: D102
    @property
    def key(self) -> int | None: ...  # noqa: D102
    @property
    def loudness(self) -> float | None: ...  # noqa: D102
    @property
    def mode(self) -> int | None: ...  # noqa: D102
    @property
    def speechiness(self) -> float | None: ...  # noqa: D102
    @property
    def acousticness(self) -> float | None: ...  # noqa: D102
    @property
    def instrumentalness(self) -> float | None: ...  # noqa: D102
    @property
    def liveness(self) -> float | None: ...  # noqa: D102
    @property
    def valence(self) -> float | None: ...  # noqa: D102
    @property
    def tempo(self) -> float | None: ...  # noqa: D102
    @property
    def time_signature(self) -> int | None: ...  # noqa: D102


class Audible(Protocol):
    """A track, as far as a model hears it; every record of a track is one."""

    @property
    def features(self) -> AudioFeatures | None: ...  # noqa: D102
    @property
    def duration_ms(self) -> int | None: ...  # noqa: D102
    @property
    def release_date(self) -> str | None: ...  # noqa: D102


class Sound(NamedTuple):
    """A recording of which nothing is known but how it sounds, and perhaps when it came out."""

    features: AudioFeatures | None
    duration_ms: int | None = None
    release_date: str | None = None


class Table(NamedTuple):
    """A discrete column: index 0 of its `rows` means "unknown", each row is a vector of `width`."""

    name: str
    rows: int
    width: int


class Number(NamedTuple):
    """A feature among the acoustic columns that may be unknown: where it stands, and the column that says so."""

    columns: tuple[int, ...]
    flag: int


@dataclass(frozen=True)
class Inputs:
    """One way to feed a network; training and streaming share it.

    Attributes:
        name: under which a checkpoint states it.
        tables: the discrete columns.
        width: how many acoustic columns there are.
        needed: features of which at least `needed_count` must be known.
        numbers: features whose absence the acoustic columns can say: 1 in the flag, 0 in all others.
        year: the same of the year of the release, where it is read.
        encode: a `dated_table` to (B, tables) int64 and (B, width) float32.
    """

    name: str
    tables: tuple[Table, ...]
    width: int
    needed: tuple[str, ...]
    needed_count: int
    numbers: tuple[Number, ...]
    encode: Callable[[Values], Encoded]
    year: Number | None = None

    def can_embed(self, track: Audible) -> bool:
        """Whether enough is known of a track."""
        return len(self._unknown(track)) <= self._spare

    def lacking(self, track: Audible) -> str | None:
        """What more must be known of a track, in words; `None` if it can be embedded."""
        unknown = self._unknown(track)
        more = len(unknown) - self._spare
        if more <= 0:
            return None
        return ", ".join(unknown) if more == len(unknown) else f"{more} more of {', '.join(unknown)}"

    def arrays(self, tracks: Sequence[Audible]) -> Encoded:
        """The network's two inputs.

        Raises:
            FeaturesMissing: too little is known of a track; the message says what, and of which.
        """
        values = dated_table(tracks)
        needed = [COLUMNS.index(name) for name in self.needed]
        short = np.flatnonzero(np.isnan(values[:, needed]).sum(axis=1) > self._spare)
        if short.size:
            raise FeaturesMissing(f"expected {self.lacking(tracks[short[0]])} of track {short[0]}, got none")
        return self.encode(values)

    def check_columns(self, discrete: Sequence[int], acoustic: Sequence[int]) -> None:
        """Raise FeatureShapeError unless these are shapes of the network's two inputs."""
        expected = len(self.tables), self.width
        if (len(discrete), len(acoustic), discrete[-1], acoustic[-1]) != (2, 2, *expected):
            raise FeatureShapeError(
                f"expected (B, {expected[0]}) and (B, {expected[1]}) features, "
                f"got {tuple(discrete)} and {tuple(acoustic)}"
            )

    @property
    def _spare(self) -> int:
        return len(self.needed) - self.needed_count

    def _unknown(self, track: Audible) -> list[str]:
        values = dict(zip(COLUMNS, _values_of(track), strict=True))
        return [name for name in self.needed if (value := values[name]) is None or not math.isfinite(value)]


def _values_of(track: Audible) -> tuple[float | None, ...]:
    known = track.features
    return (*(_NOTHING if known is None else _of_features(known)), track.duration_ms)


@lru_cache(20_000)
def _year_of(date: str | None) -> int | None:
    return None if date is None else int(date[:4])


def table(tracks: Sequence[Audible]) -> Values:
    """(B, 13) the features and the duration in the order of `COLUMNS`; NaN = unknown, as is what is not finite."""
    values = np.array([_values_of(track) for track in tracks], dtype=np.float64).reshape(len(tracks), len(COLUMNS))
    values[~np.isfinite(values)] = np.nan
    return values


def dated_table(tracks: Sequence[Audible]) -> Values:
    """(B, 14) the same, then the year of the release: `DATED_COLUMNS`."""
    years = np.array([_year_of(track.release_date) for track in tracks], dtype=np.float64)
    return np.column_stack([table(tracks), years])


def index_of(column: NDArray[np.float64], low: int, high: int) -> NDArray[np.int64]:
    """`low`..`high` as 1.., anything else as 0, which means "unknown"."""
    fits = (column >= low) & (column <= high)  # NaN fits nothing
    return np.where(fits, np.nan_to_num(column) - low + 1, 0).astype(np.int64)
