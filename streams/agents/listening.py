"""What a listening event does: it counts for its person, then for its track, once however often it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streams.delivery import Received, Refusal
from streams.state.interactions import popularity_time_ms, popularity_weight
from streams.state.persons import PERSON_EVENT_IDS, PersonStore, Sent
from streams.state.popularity import PartitionPlays, Play, PopularityStore
from streams.state.sessions import SessionStore
from topics.records import Listen

Listened = Received[Listen]


class ListeningEffects:
    """Applies listening events in two steps, each idempotent and atomic: persons, then popularity and session ends.

    When the first step was taken and the second not, the events come again: the first then says what it said before,
    so the second counts exactly what the first did.
    """

    def __init__(self, persons: PersonStore, popularity: PopularityStore, sessions: SessionStore) -> None:
        self._persons = persons
        self._popularity = popularity
        self._sessions = sessions

    async def apply(self, batch: Sequence[Listened]) -> Sequence[Refusal]:
        """Let the events take effect; nothing is refused.

        Raises:
            StoreUnavailable: it is not known which took effect; apply the batch again.
        """
        for start in range(0, len(batch), PERSON_EVENT_IDS):
            await self._apply(batch[start : start + PERSON_EVENT_IDS])
        return ()

    async def _apply(self, batch: Sequence[Listened]) -> None:
        by_person: dict[str, list[Sent]] = {}
        for one in batch:
            if one.record is not None:
                sent = Sent(one.partition, one.offset, one.record)
                by_person.setdefault(one.record.user_id, []).append(sent)
        applied = await self._persons.apply(by_person)
        counted = {
            (sent.partition, sent.offset)
            for user_id, events in by_person.items()
            for sent, counts in zip(events, applied.counted[user_id], strict=True)
            if counts
        }
        await asyncio.gather(
            self._popularity.count(plays_by_partition(batch, counted)),
            self._sessions.note(persons_by_partition(batch), applied.closing),
        )


def persons_by_partition(batch: Sequence[Listened]) -> dict[int, set[str]]:
    """Who listened, by partition."""
    persons: dict[int, set[str]] = {}
    for one in batch:
        if one.record is not None:
            persons.setdefault(one.partition, set()).add(one.record.user_id)
    return persons


def plays_by_partition(batch: Sequence[Listened], counted: set[tuple[int, int]]) -> Sequence[PartitionPlays]:
    """What the events that counted add to the popularity of their tracks, by partition."""
    plays: dict[int, list[Play]] = {}
    through: dict[int, int] = {}
    for one in batch:
        through[one.partition] = max(one.offset, through.get(one.partition, one.offset))
        of_partition = plays.setdefault(one.partition, [])
        if (one.partition, one.offset) in counted and (play := play_of(one)) is not None:
            of_partition.append(play)
    return [PartitionPlays(partition, through[partition], plays[partition]) for partition in plays]


def play_of(received: Listened) -> Play | None:
    """What an event adds to its track's popularity, `None` when nothing."""
    event = received.record
    if event is None or event.track_id is None or (weight := popularity_weight(event)) == 0:
        return None
    return Play(received.offset, popularity_time_ms(event, received.timestamp_ms), weight, event.track_id)
