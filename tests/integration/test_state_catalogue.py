"""Artists and playlists: the newest stamp stands, and after a record without one whatever comes next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.state.catalogue import CatalogueStore
from tests.integration.state_server import CLUSTERED, Server, running_server
from topics.records import Artist, Playlist


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("redis"), CLUSTERED) as running:
        yield running


@pytest.fixture
async def store(server: Server) -> AsyncIterator[CatalogueStore]:
    chosen = server.settings()
    async with server.connected(chosen) as connection:
        yield CatalogueStore(connection, chosen)


def artist(stamp: int | None, genre: str = "jazz", artist_id: str = "a") -> Artist:
    return Artist(artist_id=artist_id, genres=(genre,), updated_at_ms=stamp)


async def test_an_artist_is_read_as_it_was_put(store: CatalogueStore) -> None:
    full = Artist(
        artist_id="ü{}",
        name="Müse",
        genres=("permanent wave", "rock"),
        related=("b", "c"),
        popularity=74.5,
        updated_at_ms=253_402_300_799_999,
    )
    bare = Artist(artist_id="b")
    await store.put_artists([full, bare])
    assert await store.artists(["b", "ü{}", "unknown"]) == {"ü{}": full, "b": bare}
    assert await store.artists([]) == {}


async def test_a_playlist_is_read_as_it_was_put(store: CatalogueStore) -> None:
    playlist = Playlist(playlist_id="p", name="Mix", track_ids=("t2", "t1", "t2"), followers=3)
    await store.put_playlists([playlist])
    assert await store.playlist("p") == playlist
    assert await store.track_ids("p") == ("t2", "t1", "t2")
    assert await store.playlist("q") is None
    assert await store.track_ids("q") is None


@given(stamps=st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
async def test_an_older_record_never_replaces_a_newer_one(server: Server, stamps: list[int | None]) -> None:
    chosen = server.settings()
    async with server.connected(chosen) as connection:
        store = CatalogueStore(connection, chosen)
        newest, expected = 0, 0
        for number, stamp in enumerate(stamps):
            await store.put_artists([artist(stamp, f"genre {number}")])
            if stamp is None or stamp >= newest:
                # Nothing is older than a record without a stamp.
                newest, expected = stamp or 0, number
        assert (await store.artists(["a"]))["a"].genres == (f"genre {expected}",)


async def test_what_follows_a_record_without_a_stamp_is_judged_by_that_alone(store: CatalogueStore) -> None:
    await store.put_playlists([Playlist(playlist_id="p", track_ids=("t9",), updated_at_ms=9)])
    await store.put_playlists([Playlist(playlist_id="p", track_ids=("t0",))])
    await store.put_playlists([Playlist(playlist_id="p", track_ids=("t5",), updated_at_ms=5)])
    assert await store.track_ids("p") == ("t5",)
    await store.put_playlists([Playlist(playlist_id="p", track_ids=("t4",), updated_at_ms=4)])
    assert await store.track_ids("p") == ("t5",)
    await store.put_artists([artist(9), artist(None), artist(5, "blues"), artist(4, "folk")])
    assert (await store.artists(["a"]))["a"].genres == ("blues",)


async def test_a_withdrawn_record_is_gone_and_may_come_again_with_any_stamp(store: CatalogueStore) -> None:
    await store.put_artists([artist(9), artist(9, artist_id="other")])
    await store.put_playlists([Playlist(playlist_id="p", updated_at_ms=9)])
    await store.withdraw_artists(["a", "unknown"])
    await store.withdraw_playlists(["p"])
    await store.withdraw_playlists([])
    assert set(await store.artists(["a", "other"])) == {"other"}
    assert await store.playlist("p") is None
    await store.put_artists([artist(1, "blues")])
    assert (await store.artists(["a"]))["a"].genres == ("blues",)
