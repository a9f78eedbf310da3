"""Is there work, and is it being done: for how long each topic has stood still."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

# A partition waits its turn while a slow worker has thousands of records of the others before it.
PARTITION_PATIENCE = 5


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Standing(NamedTuple):
    """How far a partition has come: the offset up to which nothing is left to do, and the next record's."""

    through: int
    end: int

    @property
    def lag(self) -> int:
        """Offsets between them."""
        return max(0, self.end - self.through)


class Suspicion(NamedTuple):
    """What seems to be stuck, and why; offsets without a record may be all there is to it."""

    places: tuple[Place, ...]
    reason: str


class Stalls:
    """Counts the seconds with lag and without progress, of each topic and of each of its partitions.

    A topic moves when any of its partitions does: an agent reads them all in one line.
    """

    def __init__(self) -> None:
        self._last: dict[Place, Standing] = {}
        self._topics: dict[str, float] = {}
        self._partitions: dict[Place, float] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        """Topic -> for how long it has had lag and no progress."""
        return self._topics

    def forget(self) -> None:
        """Count from the beginning: nothing can be said of the time before."""
        self._last, self._topics, self._partitions = {}, {}, {}

    def see(self, standings: Mapping[Place, Standing], passed_s: float, excused: Collection[str] = ()) -> None:
        """Take in how things stand.

        Args:
            standings: of every partition that the worker has now.
            passed_s: since the last time.
            excused: topics that wait for a store, which is no standing still.
        """
        still = {place for place, now in standings.items() if place.topic not in excused and self._is_still(place, now)}
        moved = {place.topic for place, now in standings.items() if self._has_moved(place, now)}
        stuck = {place.topic for place in still} - moved
        self._topics = {
            topic: self._topics.get(topic, 0.0) + passed_s if topic in stuck else 0.0
            for topic in {place.topic for place in standings}
        }
        self._partitions = {
            place: self._partitions.get(place, 0.0) + passed_s if place in still else 0.0 for place in standings
        }
        self._last = dict(standings)

    def _is_still(self, place: Place, now: Standing) -> bool:
        before = self._last.get(place)
        return before is not None and before.lag > 0 and now.lag > 0 and before.through == now.through

    def _has_moved(self, place: Place, now: Standing) -> bool:
        before = self._last.get(place)
        return before is None or before.through != now.through

    def suspicion(self, limit_s: float) -> Suspicion | None:
        """What has stood still for too long, if anything has.

        Args:
            limit_s: for a topic; one partition of a topic that moves has `PARTITION_PATIENCE` times as long.
        """
        for topic, seconds in sorted(self._topics.items()):
            if seconds >= limit_s:
                places = sorted(p for p, now in self._last.items() if p.topic == topic and now.lag > 0)
                return Suspicion(tuple(places), f"{topic} is {self._behind(places)} for {seconds:.0f} s")
        for place, seconds in sorted(self._partitions.items()):
            if seconds >= PARTITION_PATIENCE * limit_s:
                where = f"{place.topic}[{place.partition}] is {self._behind([place])} for {seconds:.0f} s"
                return Suspicion((place,), f"{where}, while others of its partitions moved")
        return None

    def _behind(self, places: Iterable[Place]) -> str:
        return f"{sum(self._last[place].lag for place in places)} records behind, and none was acknowledged"
