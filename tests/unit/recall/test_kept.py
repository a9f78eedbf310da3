from __future__ import annotations

import pytest
from msgspec.structs import replace

from recall.index import kept as module
from recall.index.kept import ANY, ByArtist, Encoded, Kept, KeptOrders, words_of
from recall.index.points import payload_of
from recall.index.protocol import NO_FILTER, TrackFilter
from recall.index.schema import DOC
from recall.tracks import ACOUSTIC, CataloguedTrack
from tests.unit.recall.tracks import at
from topics.records import ArtistRef

TRACKS = {number: at(number, f"t{number}") for number in range(6)}
ROCK, JAZZ = TrackFilter(genres_any=("rock",)), TrackFilter(genres_any=("jazz", "blues"))


def test_no_more_than_allowed_is_kept_and_the_oldest_goes_first() -> None:
    kept = Kept(4)
    for number, one in TRACKS.items():
        kept.keep({number: one})
    assert list(kept.tracks(range(6))) == [2, 3, 4, 5]
    assert list(kept.of(f"t{number}" for number in range(6))) == ["t2", "t3", "t4", "t5"]


def test_write_takes_out_its_tracks() -> None:
    kept = Kept()
    kept.keep(TRACKS)
    kept.forget([1, 99])
    assert list(kept.tracks(range(6))) == [0, 2, 3, 4, 5]
    assert kept.of(["t1", "t5", "t99"]) == {"t5": TRACKS[5]}
    renamed = at(0, "t1", title="Another")
    kept.keep({1: renamed})
    assert kept.of(["t1"]) == {"t1": renamed}


def test_number_of_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORDERS_MAX", 3)
    orders = KeptOrders()
    fields = [f"field {number}" for number in range(10)]
    for field in fields:
        orders.keep((field, NO_FILTER), (), 5)
    assert sum(orders.get((field, NO_FILTER), 5) is not None for field in fields) <= 3


def test_order_answers_who_asks_for_no_more_than_it_was_made_for_or_than_there_is() -> None:
    orders, tracks = KeptOrders(), [one.track for one in TRACKS.values()]
    orders.keep(("popularity", ROCK), tracks, 6)
    orders.keep(("popularity", JAZZ), tracks, 12)
    assert orders.get(("popularity", ROCK), 3) == orders.get(("popularity", ROCK), 6) == tracks
    assert orders.get(("popularity", ROCK), 7) is None
    assert orders.get(("popularity", JAZZ), 100) == tracks
    assert orders.get(("added_at", ROCK), 3) is None


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
        orders.keep(("popularity", where), (), 5)
    orders.forget(words)
    assert {name for name, where in asked.items() if orders.get(("popularity", where), 5) is None} == gone


def test_a_track_stands_in_orders_of_its_genres_its_artists_and_everything() -> None:
    track = replace(TRACKS[0].track, genres=("rock", "pop"))
    assert words_of(track) == {"rock", "pop", ANY, *track.artist_ids}


def test_a_track_is_as_it_was_stored() -> None:
    encoded, one = Encoded(), TRACKS[3]
    encoded.keep(3, payload_of(one.track)[DOC], one.track, one.vectors.get(ACOUSTIC))
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
        encoded.keep(number, payload_of(one.track)[DOC], one.track, None)
    assert list(encoded.tracks(range(6))) == [2, 3, 4, 5]


def test_who_has_let_a_stored_track_go_knows_of_no_track_that_it_is_new() -> None:
    encoded = Encoded(4)
    encoded.all_read()
    assert encoded.may_be_stored([0, 7]) == []
    for number, one in TRACKS.items():
        encoded.keep(number, payload_of(one.track)[DOC], one.track, None)
    encoded.all_read()
    assert encoded.may_be_stored([0, 7]) == [0, 7]


def by(popularity: float | None, *artists: str) -> CataloguedTrack:
    return CataloguedTrack("t", "T", tuple(ArtistRef(artist_id=one) for one in artists), popularity=popularity)


def test_tracks_of_artists_come_by_popularity_and_each_once() -> None:
    kept, tracks = (
        ByArtist(),
        {1: by(10, "a"), 2: by(90, "b", "a"), 3: by(None, "a"), 4: by(50, "c", "c"), 5: by(50, "b")},
    )
    for number, track in tracks.items():
        kept.add(number, track)
    assert kept.best(9, ["a", "b"]) == [2, 5, 1, 3]
    assert kept.best(2, ["a", "c"]) == [2, 4]
    assert kept.best(2, ["a"], but=["b"]) == [1, 3]
    assert kept.best(9, ["nobody"]) == kept.best(0, ["a"]) == []
    kept.remove(2, tracks[2])
    kept.remove(2, tracks[2])  # gone already
    kept.remove(4, tracks[4])
    assert kept.best(9, ["a", "b", "c"]) == [5, 1, 3]


def test_a_track_that_is_stored_anew_stands_by_its_artists_as_it_is_now() -> None:
    encoded = Encoded()
    for track in (by(10, "a"), by(20, "a", "b"), by(30, "b")):
        encoded.keep(1, payload_of(track)[DOC], track, None)
    assert (encoded.by_artist.best(9, ["a"]), encoded.by_artist.best(9, ["b"])) == ([], [1])
    encoded.forget([1])
    assert encoded.by_artist.best(9, ["a", "b"]) == []
