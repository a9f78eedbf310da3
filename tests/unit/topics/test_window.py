"""The back-pressure of a bulk load."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from topics.client import Published, Window
from topics.errors import PublishFailed


class Waited(Future[Published]):
    """An acknowledgement that comes as soon as somebody waits for it, and not before."""

    def __init__(self, waits: list[int], number: int, error: PublishFailed | None = None) -> None:
        super().__init__()
        self._waits, self._number, self._error = waits, number, error

    def result(self, timeout: float | None = None) -> Published:
        self._waits.append(self._number)
        if self._error:
            raise self._error
        return Published("t", 0, self._number)


def test_no_more_than_the_size_are_under_way_and_the_oldest_is_waited_for_first() -> None:
    waits: list[int] = []
    window = Window(2)
    for number in range(5):
        window.add(Waited(waits, number))
    assert waits == [0, 1, 2]
    assert window.drain() == 5
    assert waits == [0, 1, 2, 3, 4]


def test_what_is_acknowledged_already_is_counted_without_waiting() -> None:
    told: list[int] = []
    window = Window(1_000, told.append)
    for number in range(250):
        done: Future[Published] = Future()
        done.set_result(Published("t", 0, number))
        window.add(done)
    assert window.acknowledged == 250
    assert told == [100, 200]
    window.drain()
    assert told == [100, 200, 250]


def test_failure_is_told_where_it_is_met() -> None:
    window = Window(0)
    with pytest.raises(PublishFailed, match="gone"):
        window.add(Waited([], 0, PublishFailed("gone")))
    assert window.acknowledged == 0
