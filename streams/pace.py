"""How many requests may be under way, found out by asking: more while they are answered, half as many when refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Pace:
    """Lets in a few threads at once, as many as whoever answers can bear.

    Source: Chiu and Jain, Analysis of the Increase and Decrease Algorithms for Congestion Avoidance, 1989 (additive
    increase, multiplicative decrease).

    Attributes:
        allowed: so many now, from 1 up to the most.
    """

    def __init__(self, most: int) -> None:
        self.allowed = 1.0
        self._most = most
        self._within = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place, and keep it for the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._within < int(self.allowed))
            self._within += 1
        try:
            yield
        finally:
            with self._changed:
                self._within -= 1
                self._changed.notify_all()

    def answered(self) -> None:
        """One was answered: one more at a time for each round of them."""
        with self._changed:
            self.allowed = min(self._most, self.allowed + 1 / self.allowed)
            self._changed.notify_all()

    def refused(self) -> None:
        """One was turned away: half as many."""
        with self._changed:
            self.allowed = max(1.0, self.allowed / 2)
