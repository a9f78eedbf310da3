from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from recall.tracks import CataloguedTrack, IndexedTrack, Vector
from streams.agents.catalogue import NEWS_MAX, CatalogueEffects
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
    plain = {"title": "T", "artists": (ArtistRef(artist_id="a", name="A"),), "features": Features(energy=0.5)}
    return Track(track_id=track_id, **{**plain, **fields})


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


async def standing(batches: Sequence[Sequence[int | None]]) -> tuple[object, ...] | None:
    """Stamp, name and news time of a track after batches of records with these stamps; `None` withdraws."""
    index, number = BruteIndex(), 0
    effects = CatalogueEffects(index, Store(), Embedder())
    for batch in batches:
        records = []
        for stamp in batch:
            record = None if stamp is None else track(title=f"T{number}", updated_at_ms=stamp)
            records.append(received(record, timestamp_ms=NOW + number))
            number += 1
        await effects.apply_tracks(records)
    found = index.stored.get("t")
    return found and (found.track.updated_at_ms, found.track.title, found.track.added_at_ms)


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([2, 1], (2, "T0", NOW)),
        ([2, 3], (3, "T1", NOW)),
        ([2, None, 1], (1, "T2", NOW + 2)),
        ([2, 0], (0, "T1", NOW)),
        ([9, 0, 5], (5, "T2", NOW)),
        ([2, None], None),
    ],
)
async def test_how_records_are_batched_changes_nothing(stamps: list[int | None], expected: object) -> None:
    for first in range(len(stamps) + 1):
        for second in range(first, len(stamps) + 1):
            assert await standing([stamps[:first], stamps[first:second], stamps[second:]]) == expected


async def test_genres_that_come_while_a_batch_is_stored_do_not_bring_back_what_was_replaced() -> None:
    index, store = BruteIndex(), Store()
    store.arriving = [Artist(artist_id="a", genres=("late",))]
    replaced = track(title="Old", genres=("own",), artists=(ArtistRef(artist_id="a"),))
    final = track(title="New", genres=("late",), artists=(ArtistRef(artist_id="a"),), updated_at_ms=7)
    await CatalogueEffects(index, store, Embedder()).apply_tracks([received(replaced), received(final)])
    assert (index.stored["t"].track.title, index.stored["t"].track.genres) == ("New", ("late",))


async def test_each_record_of_a_batch_has_its_own_vector() -> None:
    index = BruteIndex()
    silent = track(title="Silent", features=None)
    sound, older = track(title="Sound", updated_at_ms=9), track(title="Older", updated_at_ms=4)
    for batch, expected in (([sound, silent], "Silent"), ([silent, sound, older], "Sound"), ([sound, older], "Sound")):
        await CatalogueEffects(index, Store(), Embedder()).apply_tracks([received(one) for one in batch])
        stored = index.stored.pop("t")
        assert (stored.track.title, bool(stored.vectors)) == (expected, expected == "Sound")


async def test_vectors_that_tracks_bring_are_indexed_and_bad_ones_refused_alone() -> None:
    index = BruteIndex()
    effects = CatalogueEffects(index, Store(), Embedder(), {"audio": 2})
    batch = [
        received(track("good", embeddings={"audio": (0.0, 2.0), "undeclared": (1.0,)}), "good"),
        received(track("short", embeddings={"audio": (1.0,)}), "short"),
        received(track("silent", features=None, embeddings={"audio": (1.0, 0.0)}), "silent"),
        received(track("plain"), "plain"),
    ]
    refusals = await effects.apply_tracks(batch)
    assert [(one.index, one.refused.reason) for one in refusals] == [(1, "bad_embedding")]
    assert index.stored.keys() == {"good", "silent", "plain"}
    assert index.stored["good"].vectors.keys() == {"acoustic", "audio"}
    assert index.stored["good"].vectors["audio"].tolist() == [0.0, 1.0]
    assert index.stored["silent"].vectors.keys() == {"audio"}
    assert index.stored["plain"].vectors.keys() == {"acoustic"}
    await effects.apply_tracks([received(track("good"), "good")])
    assert index.stored["good"].vectors.keys() == {"acoustic"}


async def test_refused_record_does_not_undo_the_ones_around_it() -> None:
    index = BruteIndex()
    effects = CatalogueEffects(index, Store(), Embedder(), {"audio": 2})
    good, bad = track(title="Good"), track(title="Bad", embeddings={"audio": (1.0,)})
    assert len(await effects.apply_tracks([received(good), received(bad)])) == 1
    assert index.stored["t"].track.title == "Good"


async def test_vector_learned_while_genres_change_is_not_undone() -> None:
    index, store = BruteIndex(), Store()
    effects = CatalogueEffects(index, store, Embedder())
    await effects.apply_tracks([received(track())])
    await index.update_vectors("cooccurrence", {"t": np.ones(64, np.float32)})
    upsert = index.upsert

    async def learned_meanwhile(tracks: Sequence[IndexedTrack]) -> None:
        await index.update_vectors("cooccurrence", {"t": np.full(64, 2, np.float32)})
        await upsert(tracks)

    index.upsert = learned_meanwhile  # type: ignore[method-assign]
    await effects.apply_artists([received(Artist(artist_id="a", genres=("rock",)), "a")])
    assert index.stored["t"].track.genres == ("rock",)
    assert index.stored["t"].vectors["cooccurrence"][0] == 2


async def test_track_comes_with_what_was_learned_of_it_before() -> None:
    index, learned = BruteIndex(), np.ones(64, np.float32) / 8
    was_indexed: list[str] = []

    class Learner:
        def known(self, track_ids: Sequence[str]) -> Mapping[str, Vector]:
            return {"t": learned} if "t" in track_ids else {}

        def was_indexed(self, track_ids: Iterable[str]) -> None:
            was_indexed.extend(one for one in track_ids if one in index.stored)

    effects = CatalogueEffects(index, Store(), Embedder(), learned=Learner())
    await effects.apply_tracks([received(track("t")), received(track("u"), "u"), received(track("t", title="new"))])
    assert index.stored["t"].vectors.keys() == {"acoustic", "cooccurrence"}
    np.testing.assert_array_equal(index.stored["t"].vectors["cooccurrence"], learned)
    assert index.stored["u"].vectors.keys() == {"acoustic"}
    assert set(was_indexed) == {"t", "u"}
