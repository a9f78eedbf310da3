"""`throughbeat embed`: features in, vectors out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from streams.errors import StreamError

if TYPE_CHECKING:
    from models.embeat_mlp import EmbeatMLP
    from topics.records import Features

BATCH = 4096


class BadLine(StreamError):
    """A line of the input cannot be embedded."""


def embed(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="One JSON object of features a line; - reads a pipe.")],
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Weights; else those that ship with the project.")
    ] = None,
) -> None:
    """Turn lines of audio features, bare or under "features", into lines of {"embedding": [64 numbers]}.

    Example: echo '{"danceability": 0.6, "energy": 0.8, "valence": 0.4, "acousticness": 0.01, "liveness": 0.1,
    "speechiness": 0.05, "instrumentalness": 0, "tempo": 118.2}' | throughbeat embed -
    """
    from models.embeat_mlp import load_checkpoint

    model = load_checkpoint(checkpoint)
    done = 0
    with ExitStack() as opened:
        lines: BinaryIO = sys.stdin.buffer if file == "-" else opened.enter_context(Path(file).open("rb"))
        numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        while batch := list(islice(numbered, BATCH)):
            done += _embed_batch(model, batch, done)


def _embed_batch(model: EmbeatMLP, batch: Sequence[tuple[int, bytes]], done: int) -> int:
    """Write the vectors of a batch; of one with a bad line, those before it. Returns how many."""
    import msgspec

    good: list[Features] = []
    problem = None
    for number, line in batch:
        try:
            good.append(read_features(line))
        except ValueError as error:
            problem = BadLine(f"line {number}: {error} ({done + len(good)} lines were embedded)")
            break
    for vector in model.embed(good):
        sys.stdout.buffer.write(msgspec.json.encode({"embedding": vector.tolist()}) + b"\n")
    sys.stdout.buffer.flush()
    if problem is not None:
        raise problem
    return len(good)


def read_features(line: bytes) -> Features:
    """The features of one line.

    Raises:
        ValueError: it is no JSON, breaks the contract, or lacks what the model needs.
    """
    import msgspec

    from models.features import missing
    from topics.records import Features

    try:
        bare = msgspec.json.decode(line)
        inner = bare.get("features", bare) if isinstance(bare, dict) else bare
        features = msgspec.convert(inner, Features)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"expected a JSON object of features, got {error}") from error
    if absent := missing(features):
        raise ValueError(f"expected {', '.join(absent)}, got none")
    return features
