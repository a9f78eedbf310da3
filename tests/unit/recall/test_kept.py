from __future__ import annotations

import pytest

from recall.index import kept as module
from recall.index.kept import Kept
from recall.index.protocol import NO_FILTER
from tests.unit.recall.tracks import at

TRACKS = {number: at(number, f"t{number}") for number in range(6)}


def test_no_more_than_allowed_is_kept_and_the_oldest_goes_first() -> None:
    kept = Kept(4)
    for number, one in TRACKS.items():
        kept.keep({number: one})
    assert list(kept.tracks(range(6))) == [2, 3, 4, 5]


def test_number_of_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORDERS_MAX", 3)
    kept = Kept()
    for limit in range(10):
        kept.keep_order(("popularity", limit, NO_FILTER), ())
    assert sum(kept.order(("popularity", limit, NO_FILTER)) is not None for limit in range(10)) <= 3


def test_write_takes_out_its_tracks_and_every_order() -> None:
    kept = Kept()
    kept.keep(TRACKS)
    kept.keep_order(("popularity", 5, NO_FILTER), [TRACKS[0].track])
    kept.forget([1, 99])
    assert list(kept.tracks(range(6))) == [0, 2, 3, 4, 5]
    assert kept.order(("popularity", 5, NO_FILTER)) is None
