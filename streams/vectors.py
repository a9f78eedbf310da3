"""Vectors of other models that tracks may bring, as the installation declares them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

# Names of our own vectors and of channels: a channel is called as the vector that it compares.
RESERVED = frozenset(
    {
        *("acoustic", "anchors", "artist_neighbours", "cooccurrence", "described", "factors", "fresh", "fresh_nearby"),
        *(
            "genre_popular",
            "leaning",
            "listeners",
            "neighbours",
            "playlist",
            "rising",
            "same_artist",
            "session_neighbours",
            "similar_artists",
        ),
    }
)
DIMENSION_MAX = 4096
DECLARED_MAX = 16
WEIGHT_MAX = 100.0
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_EXPECTED = "expected name:dimension[:weight], several with commas between them, such as audio:512:0.5"


class DeclaredVector(NamedTuple):
    """A vector by its name in a track's `embeddings`; `weight` is its channel's in the fusion (acoustic: 1)."""

    name: str
    dimension: int
    weight: float = 1.0


def parse_vectors(text: str) -> tuple[DeclaredVector, ...]:
    """What `name:dimension[:weight]`, comma-separated, declares.

    >>> parse_vectors("audio:2:0.5, lyrics:384")
    (DeclaredVector(name='audio', dimension=2, weight=0.5), DeclaredVector(name='lyrics', dimension=384, weight=1.0))

    Raises:
        ValueError: says what was expected.
    """
    declared = tuple(_parse(word.strip()) for word in text.split(",") if word.strip())
    names = [one.name for one in declared]
    if len(set(names)) < len(names) or len(names) > DECLARED_MAX:
        raise ValueError(f"expected at most {DECLARED_MAX} names, each once, got {', '.join(names)}")
    return declared


def _parse(word: str) -> DeclaredVector:
    name, *numbers = word.split(":")
    try:
        dimension, weight = int(numbers[0]), float(numbers[1]) if len(numbers) > 1 else 1.0
    except (IndexError, ValueError):
        raise ValueError(f"{_EXPECTED}, got {word!r}") from None
    if len(numbers) > 2 or not _NAME.fullmatch(name):
        raise ValueError(f"{_EXPECTED}; a name is of a-z, 0-9 and _; got {word!r}")
    if name in RESERVED:
        raise ValueError(f"expected another name than {', '.join(sorted(RESERVED))}, got {name!r}")
    if not 1 <= dimension <= DIMENSION_MAX or not 0 < weight <= WEIGHT_MAX:
        bounds = f"a dimension of 1 to {DIMENSION_MAX} and a weight above 0 up to {WEIGHT_MAX:g}"
        raise ValueError(f"expected {bounds}, got {word!r}")
    return DeclaredVector(name, dimension, weight)


def layout_of(declared: Sequence[DeclaredVector]) -> str:
    """What to add to the name of a collection and of its readers: empty without declared vectors.

    Tracks that came before a vector was declared do not have it, so another declaration reads the catalogue anew.
    """
    if not declared:
        return ""
    said = ",".join(f"{one.name}:{one.dimension}" for one in sorted(declared))
    return f"-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
