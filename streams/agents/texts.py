"""What the catalogue does to a worker's own index of titles, where the index of tracks is a server that many share."""

from __future__ import annotations

from collections.abc import Sequence

from recall.texts import TextIndex
from recall.tracks import IndexedTrack
from streams.agents.catalogue import catalogued, since_withdrawn
from streams.delivery import Received, Refusal
from topics.records import Artist, Track


class TextEffects:
    """Applies catalogue records to an index of titles; applying a record again changes nothing."""

    def __init__(self, texts: TextIndex) -> None:
        """Writes to `texts`."""
        self._texts = texts

    async def apply_tracks(self, batch: Sequence[Received[Track]]) -> Sequence[Refusal]:
        """Make them findable, or forget them. What two records of a batch say of one track, the later says."""
        withdrawn, wanted = since_withdrawn(batch)
        if withdrawn:
            await self._texts.withdraw(sorted(withdrawn))
        records = [one.record for one in wanted if one.record is not None]
        if records:
            await self._texts.put([IndexedTrack(catalogued(record, {}, added_at_ms=0)) for record in records])
        return ()

    async def apply_artists(self, batch: Sequence[Received[Artist]]) -> Sequence[Refusal]:
        """Learn their genres."""
        await self._texts.put_genres(
            genre for one in batch if one.record is not None for genre in one.record.genres or ()
        )
        return ()
