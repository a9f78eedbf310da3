"""What a change of the catalogue does: tracks are embedded and indexed, artists lend them their genres."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from recall.brought import brought_vectors
from recall.index.protocol import TrackFilter, TrackIndex
from recall.query import first_day
from recall.tracks import ACOUSTIC, COOCCURRENCE, LEARNED, CataloguedTrack, IndexedTrack, Vector
from streams.delivery import Received, Refusal
from topics.errors import RecordRefused
from topics.records import Artist, Playlist, Track

# Tracks whose genres follow one micro-batch of artists' records.
REFRESHED_MAX = 100_000
# More new tracks in one micro-batch are a catalogue being loaded, and no news.
NEWS_MAX = 32
NEWS_DAYS = 60
# By the identity of the record that brought them: several records of one track may be in a batch.
Brought = dict[int, Mapping[str, Vector]]


class Embedder(Protocol):
    """Turns tracks into vectors; it takes what it needs of each."""

    def can_embed(self, track: CataloguedTrack) -> bool:
        """Whether enough is known."""

    def embed(self, tracks: Sequence[CataloguedTrack]) -> NDArray[np.float32]:
        """(B, 64) float32, each row of L2 norm 1."""


class CatalogueStore(Protocol):
    """Artists and playlists, which are no tracks and have no vectors."""

    async def artists(self, artist_ids: Sequence[str]) -> Mapping[str, Artist]:
        """Those that are known, by id."""

    async def put_artists(self, artists: Sequence[Artist]) -> None:
        """Keep them; an older stamp never overwrites a newer one."""

    async def withdraw_artists(self, artist_ids: Sequence[str]) -> None:
        """Forget them."""

    async def put_playlists(self, playlists: Sequence[Playlist]) -> None:
        """Keep them; an older stamp never overwrites a newer one."""

    async def withdraw_playlists(self, playlist_ids: Sequence[str]) -> None:
        """Forget them."""


class Texts(Protocol):
    """Titles and names, as the index of tracks is written; every method may be repeated."""

    async def put(self, tracks: Sequence[IndexedTrack]) -> None:
        """Make tracks findable; an older stamp never overwrites a newer one."""

    async def put_genres(self, genres: Iterable[str]) -> None:
        """These are genres of the catalogue."""

    async def withdraw(self, track_ids: Sequence[str]) -> None:
        """Forget tracks."""


class Learned(Protocol):
    """What was learned of tracks, perhaps before they came: playlists may be ahead of the catalogue."""

    def known(self, track_ids: Sequence[str]) -> Mapping[str, Vector]:
        """The learned vectors of those of the tracks that have one."""

    def was_indexed(self, track_ids: Iterable[str]) -> None:
        """These were indexed, with what was known of them before; that may have changed meanwhile."""


class NothingLearned:
    """Nobody learns here."""

    def known(self, track_ids: Sequence[str]) -> Mapping[str, Vector]:
        """None."""
        return {}

    def was_indexed(self, track_ids: Iterable[str]) -> None:
        """Nobody has to know."""


class CatalogueEffects:
    """Applies catalogue records to the index and the store; applying a record again changes nothing."""

    def __init__(
        self,
        index: TrackIndex,
        store: CatalogueStore,
        embedder: Embedder,
        declared: Mapping[str, int] = MappingProxyType({}),
        texts: Texts | None = None,
        learned: Learned | None = None,
        elder: Callable[[], TrackIndex | None] = lambda: None,
    ) -> None:
        """Write to an index and a store.

        Args:
            index: of the tracks.
            store: of artists and playlists.
            embedder: gives tracks their acoustic vectors.
            declared: the vectors that tracks may bring, with their lengths.
            texts: the index of titles that goes with `index`; `None` where there is none of our own.
            learned: gives tracks the vectors that were learned of them; nobody learns here.
            elder: an index that has had tracks for longer, and knows when they became news; none is.
        """
        self._elder = elder
        self._texts = texts
        self._learned = learned or NothingLearned()
        self._declared = declared
        self._index = index
        self._store = store
        self._embedder = embedder
        # Reading a track and writing it back is one step for this process, whichever of its agents does so.
        self._writing = asyncio.Lock()

    async def apply_tracks(self, batch: Sequence[Received[Track]]) -> Sequence[Refusal]:
        """Embed and index, or withdraw. What two records of a batch say of one track, the later says."""
        brought, refusals = self._brought(batch)
        refused = {one.index for one in refusals}
        withdrawn, wanted = since_withdrawn([one for at, one in enumerate(batch) if at not in refused])
        async with self._writing:
            if withdrawn:
                await self._index.withdraw(sorted(withdrawn))
                if self._texts:
                    await self._texts.withdraw(sorted(withdrawn))
            if wanted:
                await self._put_tracks(wanted, brought)
        return refusals

    def _brought(self, batch: Sequence[Received[Track]]) -> tuple[Brought, list[Refusal]]:
        """The vectors that records bring, and the records that cannot be applied because of them."""
        brought: Brought = {}
        refusals: list[Refusal] = []
        for at, one in enumerate(batch):
            if one.record is not None and one.record.embeddings and self._declared:
                try:
                    brought[id(one.record)] = brought_vectors(one.record, self._declared)
                except RecordRefused as refused:
                    refusals.append(Refusal(at, refused))
        return brought, refusals

    async def apply_artists(self, batch: Sequence[Received[Artist]]) -> Sequence[Refusal]:
        """Keep the artists, then give their genres to those of their tracks that are there already."""
        withdrawn, wanted = since_withdrawn(batch)
        await self._store.withdraw_artists(sorted(withdrawn))
        await self._store.put_artists([one.record for one in wanted if one.record is not None])
        if batch:
            async with self._writing:
                await self._refresh_genres(tuple(sorted({one.key_text for one in batch})))
        return ()

    async def apply_playlists(self, batch: Sequence[Received[Playlist]]) -> Sequence[Refusal]:
        """Keep the playlists, so that a request can start from one."""
        withdrawn, wanted = since_withdrawn(batch)
        await self._store.withdraw_playlists(sorted(withdrawn))
        await self._store.put_playlists([one.record for one in wanted if one.record is not None])
        return ()

    async def _put_tracks(self, wanted: Sequence[Received[Track]], brought: Brought) -> None:
        records = [(one.record, one.timestamp_ms) for one in wanted if one.record is not None]
        known = await self._known_before([record.track_id for record, _ in records])
        artists = await self._artists_of(record for record, _ in records)
        is_load = len({record.track_id for record, _ in records} - known.keys()) > NEWS_MAX
        added = {track_id: old.track.added_at_ms for track_id, old in known.items()}
        for record, timestamp_ms in records:
            added.setdefault(record.track_id, news_at_ms(record, timestamp_ms, is_load=is_load))
        tracks = [catalogued(record, artists, added_at_ms=added[record.track_id]) for record, _ in records]
        learned = self._learned.known([track.track_id for track in tracks])
        indexed = self._with_vectors(tracks, [brought.get(id(record), {}) for record, _ in records], learned)
        await asyncio.gather(self._index.upsert(indexed), *([self._texts.put(indexed)] if self._texts else ()))
        # An artist whose record came meanwhile looked for tracks before these were there.
        after = await self._artists_of(record for record, _ in records)
        changed = {one.track.track_id for one in indexed if with_genres(one.track, after) is not one.track}
        # All records of a track again: of one alone, the index could not tell whether another had replaced it.
        again = [one for one in indexed if one.track.track_id in changed]
        await self._index.upsert([IndexedTrack(with_genres(one.track, after), one.vectors) for one in again])
        self._learned.was_indexed(track.track_id for track in tracks)
        await self._name_genres(after.values())

    async def _known_before(self, track_ids: Sequence[str]) -> dict[str, IndexedTrack]:
        """The tracks that are no news: they are here, or were elsewhere before."""
        known = await self._index.fetch(track_ids)
        elder = self._elder()
        missing = [track_id for track_id in track_ids if track_id not in known] if elder is not None else []
        return known | await elder.fetch(missing) if elder is not None and missing else known

    async def _refresh_genres(self, artist_ids: tuple[str, ...]) -> None:
        tracks = await self._index.matching(TrackFilter(artists_any=artist_ids), REFRESHED_MAX)
        if not tracks:
            return
        artists = await self._store.artists(sorted({i for track in tracks for i in track.artist_ids}))
        changed = {t.track_id: new for t in tracks if (new := with_genres(t, artists)).genres != t.genres}
        stored = await self._index.fetch(list(changed), with_vectors=True)
        await self._index.upsert([IndexedTrack(changed[key], own_vectors(one)) for key, one in stored.items()])
        await self._name_genres(artists.values())

    async def _name_genres(self, artists: Iterable[Artist]) -> None:
        if self._texts:
            await self._texts.put_genres(genre for artist in artists for genre in artist.genres or ())

    async def _artists_of(self, tracks: Iterable[Track]) -> Mapping[str, Artist]:
        ids = {artist.artist_id for track in tracks for artist in track.artists if artist.artist_id}
        return await self._store.artists(sorted(ids)) if ids else {}

    def _with_vectors(
        self, tracks: Sequence[CataloguedTrack], brought: Sequence[Mapping[str, Vector]], learned: Mapping[str, Vector]
    ) -> list[IndexedTrack]:
        """The tracks with what they brought and what was learned of them.

        Those of whose sound enough is known have acoustic vectors.
        """
        known = [track for track in tracks if self._embedder.can_embed(track)]
        vectors = self._embedder.embed(known) if known else ()
        # By place and not by id: several records of one track may be among them.
        found = {id(track): {ACOUSTIC: vector} for track, vector in zip(known, vectors, strict=True)}
        for track in tracks:
            if track.track_id in learned:
                found.setdefault(id(track), {})[COOCCURRENCE] = learned[track.track_id]
        return [
            IndexedTrack(track, {**more, **found.get(id(track), {})})
            for track, more in zip(tracks, brought, strict=True)
        ]


def own_vectors(one: IndexedTrack) -> dict[str, Vector]:
    """The vectors that come from a track's record: whoever learns the others may be writing them just now."""
    return {name: vector for name, vector in one.vectors.items() if name not in LEARNED}


S = TypeVar("S", Track, Artist, Playlist)


def since_withdrawn(batch: Sequence[Received[S]]) -> tuple[set[str], list[Received[S]]]:
    """Ids that are withdrawn somewhere in the batch, and the records that no withdrawal of their id follows, in order.

    Which of several records of one id stands depends on what is stored: whoever stores them compares stamps.
    """
    withdrawn: set[str] = set()
    standing: dict[str, list[Received[S]]] = {}
    for one in batch:
        if one.record is None:
            withdrawn.add(one.key_text)
            standing.pop(one.key_text, None)
        else:
            standing.setdefault(one.key_text, []).append(one)
    return withdrawn, [one for records in standing.values() for one in records]


def news_at_ms(record: Track, timestamp_ms: int, *, is_load: bool) -> int:
    """When the track became news: as it came, or 0 for one that came in a load and is not of the last weeks."""
    if not is_load:
        return timestamp_ms
    released = first_day(record.release_date)
    since = datetime.fromtimestamp(timestamp_ms / 1000, UTC) - timedelta(days=NEWS_DAYS)
    return timestamp_ms if released is not None and released >= int(since.strftime("%Y%m%d")) else 0


def catalogued(record: Track, artists: Mapping[str, Artist], *, added_at_ms: int) -> CataloguedTrack:
    """The track as recall sees it, with its artists' genres."""
    album = record.album
    own_genres = tuple(dict.fromkeys(record.genres or ()))
    track = CataloguedTrack(
        track_id=record.track_id,
        title=record.title,
        artists=record.artists,
        album_id=album.album_id if album else None,
        album_name=album.name if album else None,
        release_date=record.release_date,
        isrc=record.isrc,
        duration_ms=record.duration_ms,
        popularity=record.popularity,
        explicit=record.explicit,
        markets=record.markets,
        own_genres=own_genres,
        genres=own_genres,
        features=record.features,
        updated_at_ms=record.updated_at_ms or 0,
        added_at_ms=added_at_ms,
    )
    return with_genres(track, artists)


def with_genres(track: CataloguedTrack, artists: Mapping[str, Artist]) -> CataloguedTrack:
    """The track with its own genres, then those of its artists, each once."""
    lent = [genre for i in track.artist_ids if i in artists for genre in artists[i].genres or ()]
    genres = tuple(dict.fromkeys((*track.own_genres, *lent)))
    return track if genres == track.genres else msgspec.structs.replace(track, genres=genres)
