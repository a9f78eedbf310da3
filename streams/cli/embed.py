"""`throughbeat embed`: features in, vectors out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from models.embeat_mlp import EmbeatMLP, load_checkpoint
from models.features import Sound
from streams.errors import StreamError
from topics.codec import decode
from topics.errors import RecordRefused
from topics.records import Album, Features, Milliseconds, PartialDate, Record

BATCH = 4096


class BadLine(StreamError):
    """A line of the input cannot be embedded."""


class _Line(Record, frozen=True, kw_only=True):
    """A line that holds its features under a name of their own, as a track does, and what is said of the release."""

    features: _Heard | msgspec.UnsetType | None = msgspec.UNSET
    duration_ms: Milliseconds | None = None
    album: Album | str | None = None
    release_date: PartialDate | None = None

    @property
    def released(self) -> str | None:
        """Its own date, else its album's."""
        return self.release_date or (self.album.release_date if isinstance(self.album, Album) else None)


class _Heard(Features, frozen=True, kw_only=True):
    """Features as audio analyses give them, the length among them."""

    duration_ms: Milliseconds | None = None


def _readable(file: Path) -> Path:
    """Say that a file is missing as any wrong argument is said; `-` is standard input."""
    if str(file) != "-" and (not file.exists() or file.is_dir()):
        raise typer.BadParameter(f"expected a file {file}, got {'a folder' if file.is_dir() else 'none'}")
    return file


def embed(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|-", callback=_readable, help="One JSON object of features a line; - reads a pipe."
        ),
    ],
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Weights; else those that ship with the project.")
    ] = None,
) -> None:
    """Turn lines of audio features, bare or under "features", into lines of {"embedding": [64 numbers]}.

    "duration_ms" may stand among the features or beside them, and "release_date", or an "album" that has one, beside
    them, so that tracks as they are published will do. What is unknown may be left out, as long as enough is known for
    the model.

    Empty lines are passed over. At a line that cannot be embedded it stops, with exit code 2 and the line's number,
    after the vectors of all lines before it.

    Example: echo '{"danceability": 0.6, "energy": 0.8, "valence": 0.4, "acousticness": 0.01, "liveness": 0.1,
    "speechiness": 0.05, "instrumentalness": 0, "tempo": 118.2}' | throughbeat embed -
    """
    model = load_checkpoint(checkpoint)
    with ExitStack() as opened:
        lines: BinaryIO = sys.stdin.buffer if str(file) == "-" else opened.enter_context(file.open("rb"))
        try:
            embed_lines(model, lines, sys.stdout.buffer)
        except BadLine as error:
            print(f"throughbeat: {error}", file=sys.stderr)
            raise typer.Exit(2) from error


def embed_lines(model: EmbeatMLP, lines: BinaryIO, out: BinaryIO) -> None:
    """Write a vector for each line of features, in their order.

    Raises:
        BadLine: a line cannot be embedded; those before it were.
    """
    done = 0
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    while batch := list(islice(numbered, BATCH)):
        good, problem = _read_batch(model, batch)
        out.writelines(msgspec.json.encode({"embedding": vector.tolist()}) + b"\n" for vector in model.embed(good))
        out.flush()
        done += len(good)
        if problem is not None:
            raise BadLine(f"{problem} (the {done} before it were embedded)")


def _read_batch(model: EmbeatMLP, batch: Sequence[tuple[int, bytes]]) -> tuple[list[Sound], str | None]:
    """The sounds of all lines before the first bad one, and what is wrong with that one."""
    good: list[Sound] = []
    for number, line in batch:
        try:
            good.append(read_sound(model, line))
        except BadLine as error:
            return good, f"line {number}: {error}"
    return good, None


def read_sound(model: EmbeatMLP, line: bytes) -> Sound:
    """The features and the length of one line.

    Raises:
        BadLine: it is no JSON, breaks the contract, or lacks what the model needs.
    """
    try:
        whole = decode(line, _Line)
        features = decode(line, _Heard) if whole.features is msgspec.UNSET else whole.features
    except RecordRefused as error:
        raise BadLine(str(error)) from error
    if not isinstance(features, _Heard):
        raise BadLine("expected an object of features, got null")
    duration_ms = features.duration_ms if whole.duration_ms is None else whole.duration_ms
    sound = Sound(features, duration_ms, whole.released)
    if lacking := model.lacking(sound):
        raise BadLine(f"expected {lacking}, got none")
    return sound
