"""What people heard next in sessions like this one: nearest sessions, with the order in which tracks were heard.

Source: VSTAN, in M. Ludewig, N. Mauro, S. Latifi, D. Jannach, "Empirical analysis of session-based recommendation
algorithms", UMUAI 2021: the sequence- and time-aware neighbourhood of D. Garg et al. (STAN, SIGIR 2019), with the
rarity of tracks as in VS-KNN. A past session is near when it has tracks of this one, the last ones counting more, and
when it is of late; its tracks count by how near, there, they stand to what this one has heard last.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointMismatch
from models.postings import Postings

FORMAT = 1
NOTHING = -1
DAY_S = 86_400.0

Rows = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PastSessionsConfig:
    """What is held, and how it is weighed.

    Attributes:
        sessions: how many are held; the oldest goes first. A session costs `width` * 4 + 10 bytes.
        width: tracks of a session; a longer one is held in parts.
        recent: sessions remembered a track, the last ones: a power of two.
        tracks: how many may be known; sessions of others are held without them.
        neighbours: sessions that are asked.
        current: tracks of the asking session that count.
        fade: what a track of the asking session keeps of its weight for each one after it, as exp(-1 / fade).
        days: after which a past session keeps 1/e of its weight.
        near: how many places from what was heard last a track of a neighbour keeps 1/e of its weight.
        names: ids of sessions remembered, so that one that comes again counts once.
    """

    sessions: int = 1_000_000
    width: int = 24
    recent: int = 512
    tracks: int = 2_000_000
    neighbours: int = 100
    current: int = 20
    fade: float = 5.0
    days: float = 30.0
    near: float = 5.0
    names: int = 20_000


class PastSessions:
    """Past sessions, found by their tracks; grows by one session at a time."""

    def __init__(self, config: PastSessionsConfig | None = None) -> None:
        self.config = config or PastSessionsConfig()
        self.track_ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._names: OrderedDict[str, None] = OrderedDict()
        # The session with number n is at n % sessions. Zeros take no memory before they are written.
        self._items = np.zeros((self.config.sessions, self.config.width), np.int32)
        self._lengths: NDArray[np.uint16] = np.zeros(self.config.sessions, np.uint16)
        self._ended_s: NDArray[np.uint32] = np.zeros(self.config.sessions, np.uint32)
        self._next = 0
        self._postings = Postings(self.config.recent)
        # Written and wiped by every question, as wiping what was touched is cheaper than making new ones.
        self._likeness = np.zeros(self.config.sessions, np.float32)
        self._place = np.zeros(1024, np.int32)

    def __len__(self) -> int:
        """How many sessions are held, the parts of long ones counted each."""
        return min(self._next, self.config.sessions)

    def add(self, name: str, track_ids: Sequence[str], ended_at_ms: int) -> bool:
        """Hold a session, its tracks in their order; False when it is held already, or too short to say anything.

        Args:
            name: its id.
            track_ids: what was heard and not skipped.
            ended_at_ms: when it ended.
        """
        if name in self._names or len(track_ids) < 2:
            return False
        self._names[name] = None
        if len(self._names) > self.config.names:
            self._names.popitem(last=False)
        rows = [row for track_id in dict.fromkeys(track_ids) if (row := self._row(track_id)) != NOTHING]
        for start in range(0, len(rows), self.config.width):
            self._hold(rows[start : start + self.config.width], ended_at_ms // 1000)
        return True

    def _row(self, track_id: str) -> int:
        row = self._rows.get(track_id, NOTHING)
        if row == NOTHING and len(self.track_ids) < self.config.tracks:
            row = self._rows[track_id] = len(self.track_ids)
            self.track_ids.append(track_id)
            if row >= len(self._place):
                self._place = np.zeros(2 * len(self._place), np.int32)
        return row

    def _hold(self, rows: Sequence[int], ended_s: int) -> None:
        number, slot = self._next, self._next % self.config.sessions
        self._items[slot, : len(rows)] = rows
        self._lengths[slot] = len(rows)
        self._ended_s[slot] = min(max(ended_s, 0), 2**32 - 1)
        for row in rows:
            self._postings.add(row, number)
        self._next += 1

    def next_to(self, track_ids: Sequence[str], limit: int, *, now_ms: int) -> list[tuple[str, float]]:
        """At most `limit` tracks heard near these in past sessions, with what speaks for them, the most first.

        Args:
            track_ids: what was heard just now, the latest last.
            limit: how many tracks are wanted.
            now_ms: the time.

        Returns:
            Track ids without those asked with, ties by id.
        """
        known = [row for one in track_ids if (row := self._rows.get(one, NOTHING)) != NOTHING]
        current = list(dict.fromkeys(reversed(known)))[: self.config.current]
        if not current or limit < 1:
            return []
        slots, likeness = self._neighbours(current, now_ms)
        rows, scores = self._heard_near(current, slots, likeness)
        best = np.argsort(-scores, kind="stable")[:limit]
        if len(best) == limit:
            best = np.flatnonzero(scores >= scores[best[-1]])
        found = [(self.track_ids[row], score) for row, score in zip(rows[best], scores[best].tolist(), strict=True)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def _neighbours(self, current: Sequence[int], now_ms: int) -> tuple[NDArray[np.int64], Floats]:
        """The nearest sessions to one, the latest of whose rows is first, and how near they are."""
        oldest, likeness = self._next - self.config.sessions, self._likeness
        touched = []
        for place, row in enumerate(current):
            numbers = self._postings.of(row).astype(np.int64)
            slots = numbers[numbers >= oldest] % self.config.sessions
            touched.append(slots[likeness[slots] == 0])
            likeness[slots] += math.exp(-place / self.config.fade)
        found = np.concatenate(touched)
        near: Floats = likeness[found] / np.sqrt(len(current) * self._lengths[found].astype(np.float32))
        likeness[found] = 0
        age_days = np.maximum(now_ms / 1000 - self._ended_s[found], 0) / DAY_S
        near *= np.exp(-age_days / self.config.days).astype(np.float32)
        if len(near) > (most := self.config.neighbours):
            found, near = (column[near >= np.partition(near, -most)[-most]] for column in (found, near))
        # Of equals the latest.
        best = np.lexsort((-self._ended_s[found].astype(np.int64), -near))[: self.config.neighbours]
        return found[best], near[best]

    def _heard_near(
        self, current: Sequence[int], slots: NDArray[np.int64], likeness: Floats
    ) -> tuple[Rows, NDArray[np.float64]]:
        """Rows of the neighbours' other tracks, and what speaks for each."""
        items, places = self._items[slots], np.arange(self.config.width)
        is_there: NDArray[np.bool_] = places < self._lengths[slots][:, None]
        # 1 for what was heard first, of what was heard last the most.
        self._place[current] = np.arange(len(current), 0, -1)
        common = np.where(is_there, self._place[items], 0)
        self._place[current] = 0
        anchors: NDArray[np.int64] = common.argmax(axis=1)
        weights = likeness[:, None] * np.exp(-np.abs(places - anchors[:, None]) / self.config.near)
        new = is_there & (common == 0)
        rows: Rows
        rows, back = np.unique(items[new], return_inverse=True)
        rarity: NDArray[np.float64] = np.log(1 + self._next / self._postings.counts(rows))
        scores = np.bincount(back, weights[new], len(rows)) * rarity
        return rows, scores

    def arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Everything, for `restored`: arrays, and what JSON can hold."""
        held = len(self)
        arrays: dict[str, NDArray[Any]] = {
            "items": self._items[:held],
            "lengths": self._lengths[:held],
            "ended_s": self._ended_s[:held],
            **{f"postings.{name}": array for name, array in self._postings.arrays().items()},
        }
        said = {"format": FORMAT, "config": asdict(self.config), "next": self._next}
        return arrays, {**said, "track_ids": self.track_ids, "names": list(self._names)}

    @classmethod
    def restored(
        cls, config: PastSessionsConfig, arrays: Mapping[str, NDArray[Any]], said: Mapping[str, Any]
    ) -> PastSessions:
        """From `arrays`.

        Raises:
            CheckpointMismatch: they are of another format or configuration.
        """
        if said.get("format") != FORMAT or said.get("config") != asdict(config):
            raise CheckpointMismatch(f"expected sessions held as {asdict(config)}, got {said.get('config')}")
        self = cls(config)
        held = len(arrays["items"])
        self._items[:held], self._lengths[:held] = arrays["items"], arrays["lengths"]
        self._ended_s[:held], self._next = arrays["ended_s"], said["next"]
        self.track_ids = list(said["track_ids"])
        self._rows = {track_id: row for row, track_id in enumerate(self.track_ids)}
        self._names = OrderedDict.fromkeys(said["names"])
        self._place = np.zeros(max(1024, 2 * len(self.track_ids)), np.int32)
        parts = {
            name.removeprefix("postings."): array for name, array in arrays.items() if name.startswith("postings.")
        }
        self._postings = Postings.restored(config.recent, parts)
        return self
