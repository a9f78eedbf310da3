"""What a person's list of the week does: its tracks, and those of the weeks before, are known when they ask again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from streams.delivery import Received, Refusal
from streams.state.given import Given, GivenStore, within_bounds
from streams.weeks import lists_in, oldest_kept
from topics.records import WeeklyPlaylist


class WeeklyListEffects:
    """Keeps what the last record of each person says; applying a record again changes nothing."""

    def __init__(self, store: GivenStore) -> None:
        self._store = store

    async def apply(self, batch: Sequence[Received[WeeklyPlaylist]]) -> Sequence[Refusal]:
        """Keep or forget; nothing is refused.

        Raises:
            StoreUnavailable: it is not known which took effect; apply the batch again.
        """
        oldest = oldest_kept(int(time.time() * 1000))
        await self._store.put([given(one, oldest) for one in batch])
        return ()


def given(received: Received[WeeklyPlaylist], oldest: str) -> Given:
    """What a record says of the person that is its key; a withdrawal says that there are no lists."""
    lists = within_bounds(lists_in(received.record), oldest) if received.record else ()
    return Given(received.key_text, received.partition, received.offset, lists)
