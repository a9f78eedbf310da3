from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recall.tracks import CataloguedTrack
from streams.agents.catalogue import NEWS_MAX, CatalogueEffects, final_states
from streams.delivery import Received
from tests.brute_index import BruteIndex
from topics.records import Album, Artist, ArtistRef, Features, Playlist, Track

NOW = 1_790_000_000_000  # 2026-09-21


class Embedder:
    def can_embed(self, track: CataloguedTrack) -> bool:
        return track.features is not None and track.features.energy is not None

    def embed(self, tracks: Sequence[CataloguedTrack]) -> NDArray[np.float32]:
        vectors = np.zeros((len(tracks), 64), np.float32)
        vectors[:, 0] = 1
        return vectors


class Store:
    def __init__(self) -> None:
        self.known: dict[str, Artist] = {}
        self.arriving: list[Artist] = []

    async def artists(self, artist_ids: Sequence[str]) -> Mapping[str, Artist]:
        found = {i: self.known[i] for i in artist_ids if i in self.known}
        # What another worker writes between two looks.
        self.known |= {artist.artist_id: artist for artist in self.arriving}
        return found

    async def put_artists(self, artists: Sequence[Artist]) -> None:
        self.known |= {artist.artist_id: artist for artist in artists}

    async def withdraw_artists(self, artist_ids: Sequence[str]) -> None:
        for artist_id in artist_ids:
            self.known.pop(artist_id, None)

    async def put_playlists(self, playlists: Sequence[Playlist]) -> None: ...

    async def withdraw_playlists(self, playlist_ids: Sequence[str]) -> None: ...


def received(record: Track | Artist | None, key: str = "t", timestamp_ms: int = NOW) -> Received:
    return Received("topic", 0, 0, timestamp_ms, key.encode(), (), record)


def track(track_id: str = "t", **fields: object) -> Track:
    artists = (ArtistRef(artist_id="a", name="A"),)
    return Track(track_id=track_id, title="T", artists=artists, features=Features(energy=0.5), **fields)


async def test_track_has_its_own_genres_then_its_artists() -> None:
    index, store = BruteIndex(), Store()
    store.known["a"] = Artist(artist_id="a", genres=("rock", "own"))
    effects = CatalogueEffects(index, store, Embedder())
    await effects.apply_tracks([received(track(genres=("own", "pop")))])
    assert index.stored["t"].track.genres == ("own", "pop", "rock")
    assert index.stored["t"].track.own_genres == ("own", "pop")


async def test_artist_that_comes_while_its_track_is_indexed_is_not_missed() -> None:
    index, store = BruteIndex(), Store()
    store.arriving = [Artist(artist_id="a", genres=("rock",))]
    await CatalogueEffects(index, store, Embedder()).apply_tracks([received(track())])
    assert index.stored["t"].track.genres == ("rock",)
    assert index.stored["t"].vectors


async def test_artists_new_genres_reach_its_tracks_and_keep_their_vectors() -> None:
    index, store = BruteIndex(), Store()
    effects = CatalogueEffects(index, store, Embedder())
    await effects.apply_tracks([received(track(genres=("own",)))])
    await effects.apply_artists([received(Artist(artist_id="a", genres=("rock",)), "a")])
    assert index.stored["t"].track.genres == ("own", "rock")
    assert index.stored["t"].vectors
    await effects.apply_artists([received(None, "a")])
    assert index.stored["t"].track.genres == ("own",)


async def test_track_without_the_features_it_needs_has_no_vector() -> None:
    index = BruteIndex()
    record = Track(track_id="t", title="T", artists=(), features=Features(tempo=120))
    await CatalogueEffects(index, Store(), Embedder()).apply_tracks([received(record)])
    assert not index.stored["t"].vectors


async def test_update_keeps_when_a_track_became_news() -> None:
    index = BruteIndex()
    effects = CatalogueEffects(index, Store(), Embedder())
    await effects.apply_tracks([received(track(), timestamp_ms=NOW)])
    await effects.apply_tracks([received(track(popularity=50), timestamp_ms=NOW + 1000)])
    assert index.stored["t"].track.added_at_ms == NOW
    assert index.stored["t"].track.popularity == 50


async def test_catalogue_that_comes_at_once_is_no_news_but_for_its_releases() -> None:
    index = BruteIndex()
    many = [track(f"t{n}") for n in range(NEWS_MAX)]
    fresh = track("fresh", album=Album(release_date="2026-09-18"))
    old = track("old", album=Album(release_date="2003"))
    await CatalogueEffects(index, Store(), Embedder()).apply_tracks(
        [received(one, one.track_id) for one in (*many, fresh, old)]
    )
    news = {track_id for track_id, one in index.stored.items() if one.track.added_at_ms}
    assert news == {"fresh"}


def test_last_word_on_a_track_within_a_batch_stands() -> None:
    def standing(*records: Track | None) -> tuple[bool, object]:
        withdrawn, last = final_states([received(one) for one in records])
        return bool(withdrawn), last["t"].record.updated_at_ms if "t" in last else None

    assert standing(track(updated_at_ms=2), track(updated_at_ms=1)) == (False, 2)
    assert standing(track(updated_at_ms=2), None, track(updated_at_ms=1)) == (True, 1)
    assert standing(track(updated_at_ms=2), track()) == (False, None)
    assert standing(track(updated_at_ms=2), None) == (True, None)
