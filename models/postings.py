"""Which lists each item was last in: a short ring of numbers an item, all in one growing array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST = 4

Numbers = NDArray[np.int64]


class Postings:
    """Item -> the numbers of the last `most` lists that it was in.

    An item takes room for four numbers at first, and twice as much each time that is full; the room that it leaves goes
    to the next that needs as much. So an item costs at most 16 + 8 * `most` bytes.
    """

    def __init__(self, most: int) -> None:
        """`most`: a power of two, at least `FIRST`."""
        self._most = most
        self._pool: NDArray[np.uint32] = np.zeros(1024, np.uint32)
        self._used = 0
        self._free: dict[int, list[int]] = {}
        # Of each item: where its numbers are, for how many there is room, and how many came in all.
        self._starts: Numbers = np.zeros(1024, np.int64)
        self._rooms: Numbers = np.zeros(1024, np.int64)
        self._counts: Numbers = np.zeros(1024, np.int64)

    def __len__(self) -> int:
        """How many numbers there is room for."""
        return len(self._pool)

    def add(self, item: int, number: int) -> None:
        """The item, a number >= 0, is in that list."""
        while item >= len(self._counts):
            self._starts, self._rooms, self._counts = map(_twice, (self._starts, self._rooms, self._counts))
        count, room = int(self._counts[item]), int(self._rooms[item])
        if count == room and room < self._most:
            room = self._move(item, room)
        self._pool[self._starts[item] + count % room] = number
        self._counts[item] = count + 1

    def of(self, item: int) -> NDArray[np.uint32]:
        """The numbers of an item that was added, in no order."""
        start, held = self._starts[item], min(self._counts[item], self._rooms[item])
        return self._pool[start : start + held]

    def counts(self, items: NDArray[np.int32]) -> Numbers:
        """In how many lists each of the items was in all."""
        found: Numbers = self._counts[items]
        return found

    def _move(self, item: int, room: int) -> int:
        wider = max(FIRST, 2 * room)
        free = self._free.setdefault(wider, [])
        if free:
            to = free.pop()
        else:
            to, self._used = self._used, self._used + wider
            while self._used > len(self._pool):
                self._pool = _twice(self._pool)
        at = int(self._starts[item])
        self._pool[to : to + room] = self._pool[at : at + room]
        if room:
            self._free.setdefault(room, []).append(at)
        self._starts[item], self._rooms[item] = to, wider
        return wider

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for `restored`."""
        return {
            "pool": self._pool[: self._used],
            "starts": self._starts,
            "rooms": self._rooms,
            "counts": self._counts,
        }

    @classmethod
    def restored(cls, most: int, arrays: Mapping[str, NDArray[Any]]) -> Postings:
        """From `arrays`; room that was free is not used again."""
        self = cls(most)
        self._pool = arrays["pool"].astype(np.uint32)
        self._used = len(self._pool)
        self._pool = np.append(self._pool, np.zeros(1024, np.uint32))
        self._starts, self._rooms, self._counts = (
            arrays[name].astype(np.int64) for name in ("starts", "rooms", "counts")
        )
        return self


def _twice(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, np.zeros_like(array)])
