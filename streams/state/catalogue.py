"""Artists and playlists, by id: what the catalogue holds besides tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streams.settings import Settings
from streams.state.connection import RedisConnection
from streams.state.keys import artists_key, key_prefix, playlists_key
from streams.state.scripts import script
from topics.records import Artist, Playlist

# Before the record in a stored value: its stamp, 0 for none.
STAMP_BYTES = 8


class CatalogueStore:
    """Artists and playlists. A record with an older `updated_at_ms` never replaces a newer one.

    One without replaces whatever is there, and is itself replaced by whatever comes next.
    """

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        prefix = key_prefix(settings.topic_prefix)
        self._artists, self._playlists = artists_key(prefix), playlists_key(prefix)
        self._encode = msgspec.msgpack.Encoder().encode
        self._artist = msgspec.msgpack.Decoder(Artist)
        self._playlist = msgspec.msgpack.Decoder(Playlist)

    async def artists(self, artist_ids: Sequence[str]) -> Mapping[str, Artist]:
        """Those that are known, by id, in one round trip.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        if not artist_ids:
            return {}
        (values,) = await self._redis.run([(b"HMGET", self._artists, *artist_ids)])
        known = [self._artist.decode(memoryview(value)[STAMP_BYTES:]) for value in values if value is not None]
        return {artist.artist_id: artist for artist in known}

    async def playlist(self, playlist_id: str) -> Playlist | None:
        """The playlist, `None` when it is not known.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        (value,) = await self._redis.run([(b"HGET", self._playlists, playlist_id)])
        return None if value is None else self._playlist.decode(memoryview(value)[STAMP_BYTES:])

    async def track_ids(self, playlist_id: str) -> tuple[str, ...] | None:
        """The playlist's tracks in their order, `None` when it is not known.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        playlist = await self.playlist(playlist_id)
        return None if playlist is None else playlist.track_ids

    async def put_artists(self, artists: Sequence[Artist]) -> None:
        """Keep them; of two for one id the later stands unless its stamp is older.

        Raises:
            StoreUnavailable: it is not known which are kept; put them again.
        """
        await self._put(self._artists, [(one.artist_id, one) for one in artists])

    async def put_playlists(self, playlists: Sequence[Playlist]) -> None:
        """Keep them; of two for one id the later stands unless its stamp is older.

        Raises:
            StoreUnavailable: it is not known which are kept; put them again.
        """
        await self._put(self._playlists, [(one.playlist_id, one) for one in playlists])

    async def withdraw_artists(self, artist_ids: Sequence[str]) -> None:
        """Forget them, stamps and all.

        Raises:
            StoreUnavailable: it is not known which are forgotten; withdraw them again.
        """
        await self._withdraw(self._artists, artist_ids)

    async def withdraw_playlists(self, playlist_ids: Sequence[str]) -> None:
        """Forget them, stamps and all.

        Raises:
            StoreUnavailable: it is not known which are forgotten; withdraw them again.
        """
        await self._withdraw(self._playlists, playlist_ids)

    async def _put(self, key: str, records: Sequence[tuple[str, Artist | Playlist]]) -> None:
        if records:
            sha, encode = script("catalogue").sha, self._encode
            await self._redis.run(
                [(b"EVALSHA", sha, 1, key, name, one.updated_at_ms or 0, encode(one)) for name, one in records]
            )

    async def _withdraw(self, key: str, ids: Sequence[str]) -> None:
        if ids:
            await self._redis.run([(b"HDEL", key, *ids)])
