"""A person's taste as several lists, each of one kind of music."""

from __future__ import annotations

from collections.abc import Sequence

from recall.pockets import pockets
from recall.query import Start

# More kinds than these are told apart by chance.
MIXES_MAX = 6
# A kind of music is known by more than one track.
STARTS_OF_ONE = 3


def mixes(starts: Sequence[Start]) -> list[tuple[Start, ...]]:
    """The starts by their pockets, the heaviest first; all of them together where the sound of none is known.

    There is one for every `STARTS_OF_ONE` starts, from 1 up to `MIXES_MAX`.
    """
    found = pockets(starts, 1.0, max(1, min(MIXES_MAX, len(starts) // STARTS_OF_ONE)))
    return [pocket.members for pocket in found] or [tuple(starts)]
