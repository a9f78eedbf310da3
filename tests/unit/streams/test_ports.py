"""Ports that the parts of a stack choose before any of them listens."""

from __future__ import annotations

import random

from streams.embedded.ports import free_port


def test_the_same_luck_does_not_give_the_same_port_twice() -> None:
    assert len({free_port(random.Random(7)) for _ in range(5)}) == 5
