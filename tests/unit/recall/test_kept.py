from __future__ import annotations

import pytest
from msgspec.structs import replace

from recall.index import kept as module
from recall.index.kept import ANY, Encoded, Kept, KeptOrders, words_of
from recall.index.points import payload_of
from recall.index.protocol import NO_FILTER, TrackFilter
from recall.index.schema import DOC
from recall.tracks import ACOUSTIC
from tests.unit.recall.tracks import at

TRACKS = {number: at(number, f"t{number}") for number in range(6)}
ROCK, JAZZ = TrackFilter(genres_any=("rock",)), TrackFilter(genres_any=("jazz", "blues"))


def test_no_more_than_allowed_is_kept_and_the_oldest_goes_first() -> None:
    kept = Kept(4)
    for number, one in TRACKS.items():
        kept.keep({number: one})
    assert list(kept.tracks(range(6))) == [2, 3, 4, 5]


def test_write_takes_out_its_tracks() -> None:
    kept = Kept()
    kept.keep(TRACKS)
    kept.forget([1, 99])
    assert list(kept.tracks(range(6))) == [0, 2, 3, 4, 5]


def test_number_of_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORDERS_MAX", 3)
    orders = KeptOrders()
    for limit in range(10):
        orders.keep(("popularity", limit, NO_FILTER), ())
    assert sum(orders.get(("popularity", limit, NO_FILTER)) is not None for limit in range(10)) <= 3


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        ({"rock"}, {"rock"}),
        ({"blues"}, {"jazz"}),
        ({ANY}, {"all"}),
        ({"ambient"}, set()),
        ({"rock", ANY}, {"rock", "all"}),
    ],
)
def test_a_write_takes_out_the_orders_that_its_tracks_may_stand_in(words: set[str], gone: set[str]) -> None:
    orders, asked = KeptOrders(), {"rock": ROCK, "jazz": JAZZ, "all": NO_FILTER}
    for where in asked.values():
        orders.keep(("popularity", 5, where), ())
    orders.forget(words)
    assert {name for name, where in asked.items() if orders.get(("popularity", 5, where)) is None} == gone


def test_a_track_stands_in_orders_of_its_genres_its_artists_and_everything() -> None:
    track = replace(TRACKS[0].track, genres=("rock", "pop"))
    assert words_of(track) == {"rock", "pop", ANY, *track.artist_ids}


def test_a_track_is_as_it_was_stored() -> None:
    encoded, one = Encoded(), TRACKS[3]
    encoded.keep(3, payload_of(one.track)[DOC], one.vectors.get(ACOUSTIC))
    found = encoded.tracks([2, 3])
    assert list(found) == [3]
    assert found[3].track == one.track == encoded.track(3)
    assert found[3].vectors[ACOUSTIC].tolist() == one.vectors[ACOUSTIC].tolist()
    encoded.forget([3])
    assert encoded.tracks([3]) == {}
    assert encoded.track(3) is None
    assert 3 not in encoded


def test_of_stored_tracks_the_oldest_go_first() -> None:
    encoded = Encoded(4)
    for number, one in TRACKS.items():
        encoded.keep(number, payload_of(one.track)[DOC], None)
    assert list(encoded.tracks(range(6))) == [2, 3, 4, 5]
