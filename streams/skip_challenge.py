"""Skips predicted on files in the columns of the Spotify Sequential Skip Prediction Challenge (WSDM Cup 2019).

Of each session the first half is known, tracks whose position is at most half its length; of each track of the second
half it is predicted whether `skip_2` is true. The predictor has learned from the sessions before, and learns from this
one afterwards, so that no answer is known when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.quality import bootstrap
from models.skips import Hearing, SkipPredictor, average_accuracy
from streams.errors import StreamError
from streams.importing.rows import BadRow, csv_columns, csv_rows

COLUMNS = ("session_id", "session_position", "session_length", "track_id_clean", "skip_1", "skip_2", "not_skipped")
MEASURES = ("mean average accuracy", "first prediction accuracy")
TRUTH = {"true": True, "1": True, "false": False, "0": False}
# Sessions are drawn again by so many groups of them, so that a file of any size has an interval.
GROUPS = 2_000

Predictions = list[bool]
OnSession = Callable[[int], None]


class NoSessions(StreamError):
    """A file holds no whole session of two tracks or more."""


class Row(NamedTuple):
    """One track of one session."""

    session_id: str
    position: int
    length: int
    hearing: Hearing


@dataclass(frozen=True)
class Session:
    """A whole session: what is known of it, and what is to be predicted."""

    known: Sequence[Hearing]
    wanted: Sequence[Hearing]


def evaluate_skips(path: Path, *, seed: int, on_session: OnSession = lambda count: None) -> dict[str, Any]:
    """How well skips are predicted, beside repeating what was done last.

    Returns:
        `sessions`, `left_out` (rows by why), `predictions`, `ways` (way -> measure -> value and 95 % interval) and
        `differences` (the first less each other, paired by session).

    Raises:
        FileUnreadable, ColumnsMissing: the file cannot be read.
        NoSessions: there is nothing to predict in it.
    """
    predictor, left_out = SkipPredictor(), dict[str, int]()
    figures: dict[str, list[tuple[float, float]]] = {"online": [], "repeat last": []}
    predictions = 0
    for count, session in enumerate(sessions_in(path, left_out), 1):
        done = [one.skipped for one in session.wanted]
        figures["online"].append(_figures(_predicted(predictor, session), done))
        figures["repeat last"].append(_figures([session.known[-1].skipped] * len(done), done))
        learn(predictor, session)
        predictions += len(done)
        on_session(count)
    if not predictions:
        raise NoSessions(
            f"expected sessions of two tracks or more in {path}, got none; left out: {left_out or 'nothing'}"
        )
    return {
        "sessions": len(figures["online"]),
        "left_out": left_out,
        "predictions": predictions,
        **_summary(figures, seed),
    }


def learn(predictor: SkipPredictor, session: Session) -> None:
    """Learn from a whole session: each track as the next one, and those that were predicted as they were."""
    whole = [*session.known, *session.wanted]
    for place in range(1, len(session.known)):
        predictor.learn(whole[:place], 1, whole[place])
    for ahead, then in enumerate(session.wanted, 1):
        predictor.learn(session.known, ahead, then)


def sessions_in(path: Path, left_out: dict[str, int]) -> Iterator[Session]:
    """The whole sessions of a file, in its order; rows of others are counted in `left_out` by why."""
    for _, group in groupby(rows_in(path, left_out), lambda row: row.session_id):
        rows = list(group)
        if [row.position for row in rows] != list(range(1, rows[0].length + 1)) or len(
            {row.length for row in rows}
        ) > 1:
            _count(left_out, "session: positions are not 1 to session_length", len(rows))
        elif len(rows) < 2:
            _count(left_out, "session: fewer than two tracks", len(rows))
        else:
            half = len(rows) // 2
            hearings = [row.hearing for row in rows]
            yield Session(hearings[:half], hearings[half:])


def rows_in(path: Path, left_out: dict[str, int]) -> Iterator[Row]:
    """The rows of a file that can be read; the others are counted in `left_out` by why."""
    columns = csv_columns(path, COLUMNS)
    places = [columns.index(name) for name in COLUMNS]
    for cells in csv_rows(path, len(columns)):
        if isinstance(cells, BadRow):
            _count(left_out, cells.reason)
            continue
        try:
            yield _row(*(cells[place].strip() for place in places))
        except (ValueError, KeyError):
            _count(left_out, "row: a position or length that is no number, or a skip that is neither true nor false")


def _row(session_id: str, position: str, length: str, track_id: str, skip_1: str, skip_2: str, not_skipped: str) -> Row:
    at_once, skipped, finished = (TRUTH[one.lower()] for one in (skip_1, skip_2, not_skipped))
    return Row(session_id, int(position), int(length), Hearing(track_id, skipped, at_once, finished))


def _predicted(predictor: SkipPredictor, session: Session) -> Predictions:
    asked = enumerate(session.wanted, 1)
    return [predictor.probability(session.known, ahead, one.track_id) > 0.5 for ahead, one in asked]


def _figures(predicted: Sequence[bool], done: Sequence[bool]) -> tuple[float, float]:
    return average_accuracy(predicted, done), float(predicted[0] == done[0])


def _summary(figures: Mapping[str, Sequence[tuple[float, float]]], seed: int) -> dict[str, Any]:
    values = {name: np.array(pairs) for name, pairs in figures.items()}
    first = next(iter(values))
    count = len(values[first])
    interval = bootstrap(np.random.default_rng(seed).permutation(count) % GROUPS, seed)

    def told(table: Any) -> dict[str, Any]:
        return {
            name: {"value": round(float(column.mean()), 4), "interval": [round(one, 4) for one in interval(column)]}
            for name, column in zip(MEASURES, table.T, strict=True)
        }

    others = [name for name in values if name != first]
    return {
        "ways": {name: told(table) for name, table in values.items()},
        "differences": {name: told(values[first] - values[name]) for name in others},
    }


def _count(left_out: dict[str, int], why: str, rows: int = 1) -> None:
    left_out[why] = left_out.get(why, 0) + rows
