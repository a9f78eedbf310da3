"""Track2Vec: tracks near those that people put together with them; trained on all lists, then extended by each.

A list that arrives is counted and gone over once at once (`absorb`), and some times more among lists that were there
before (`settle`), so that what was known is not forgotten. Both cost as much as what arrives, whatever the size of the
vocabulary. A track moves the less, the more lists have shown where it belongs.

What is given out is the unit vector of the sum of a track's vector and its context: on held-out playlists it finds a
twentieth more than the vector alone, and serves for what is asked with as well as for what is found.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from models.lists import Listed, Lists
from models.placed import Placed
from models.skipgram import Matrix, Rows, SkipGram, segments

PLAYLIST, SESSION = "p:", "s:"
# Tracks gone over at once when lists arrive; the others wait for their turn, as all do for their second pass.
ABSORBED_MAX = 5_000
# Looked through for other lists of the tracks of one that is gone.
LOOKED_THROUGH = 2_000
# Of these, gone over again.
AGAIN_MAX = 20
# Tracks looked at to tell how long vectors are, and how far they have drifted.
SAMPLED, DRIFT_SAMPLED = 1_000, 20_000

Starts = Callable[[Sequence[str]], Mapping[str, Matrix]]


@dataclass(frozen=True)
class Config:
    """How it learns, saved beside the vectors and compared on load.

    Attributes:
        dimensions: of a vector.
        negatives: tracks drawn for each pair.
        exponent: of the counts by which they are drawn.
        segment: tracks of one list that meet in one pass.
        passes: over all lists, in a full training; its rate falls from `rate` to `rate_least`.
        stream_passes: over a list that arrives; its rate falls likewise.
        rehearsed: tracks of earlier lists gone over beside each track of one that arrived.
        familiar: lists that hold a track, after which its vector takes half of each step.
        sessions: that are held; the oldest are forgotten first.
    """

    dimensions: int = 64
    negatives: int = 5
    exponent: float = 0.75
    segment: int = 25
    passes: int = 40
    rate: float = 0.05
    rate_least: float = 0.0005
    stream_passes: int = 20
    rehearsed: float = 1.0
    familiar: float = 10.0
    sessions: int = 50_000

    def rate_at(self, left: float) -> float:
        """The learning rate with a share of the training left, 1 to 0."""
        return self.rate_least + (self.rate - self.rate_least) * left


class Change(Struct, frozen=True, gc=False, array_like=True):
    """One record of a topic: a list as it is now, or its withdrawal (no tracks).

    Attributes:
        key: `PLAYLIST` or `SESSION`, and what tells lists apart.
        updated_at_ms: an older stamp never replaces a newer one; 0 = there was none, which always applies.
    """

    topic: str
    partition: int
    offset: int
    key: str
    track_ids: tuple[str, ...] | None
    updated_at_ms: int = 0


class Turn(NamedTuple):
    """A list that is gone over now, and how many passes over it are left with this one."""

    key: str
    rows: Rows
    passes: int


def nowhere(track_ids: Sequence[str]) -> Mapping[str, Matrix]:
    """Nothing is known of tracks before they occur."""
    return {}


class Track2Vec:
    """The model, its lists, and how far in each partition it has come. Not for two threads at once.

    Attributes:
        offsets: (topic, partition) -> the last offset that has counted.
        sessions: keys of the sessions that are held, the oldest first.
        due: lists to be gone over again, the next first, and how many times.
        anchors: where the last full training put tracks.
        given: where tracks were when they were given out last.
    """

    def __init__(self, config: Config, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.skipgram = SkipGram(config.dimensions, config.negatives, config.exponent, seed)
        self.track_ids: list[str] = []
        self.rows: dict[str, int] = {}
        self.lists = Lists()
        self.sessions: deque[str] = deque()
        self.offsets: dict[tuple[str, int], int] = {}
        self.due: dict[str, int] = {}
        self.anchors, self.given = Placed(config.dimensions), Placed(config.dimensions)
        self._touched: set[int] = set()

    # What arrives

    def absorb(self, changes: Sequence[Change], starts: Starts = nowhere) -> int:
        """Let records count, each once however often it comes, and learn from them; how many counted.

        `starts` gives unit vectors to tracks that are new, as far as it knows any; the others begin near 0.
        """
        counted = 0
        arrived: list[str] = []
        for change in changes:
            place = (change.topic, change.partition)
            if change.offset > self.offsets.get(place, -1):
                self.offsets[place] = change.offset
                counted += 1
                arrived += self._apply(change, starts)
        self.due |= dict.fromkeys(arrived, self.config.stream_passes)
        self._go_over(self._taken(ABSORBED_MAX, arrived), rehearsed=0.0)
        return counted

    def _apply(self, change: Change, starts: Starts) -> list[str]:
        """Count a list in place of the one that had its key; the lists to be learned from because of it."""
        if change.track_ids is None:
            return self._faded(self._forget(change.key))
        before = self.lists.get(change.key)
        if before is not None and 0 < change.updated_at_ms < before.updated_at_ms:
            return []
        rows = self.rows_of(change.track_ids, starts)
        self.hold(Listed(change.key, rows, change.updated_at_ms))
        if before is None:
            return [change.key]
        gone = np.setdiff1d(before.rows, rows)
        is_new = len(gone) > 0 or len(rows) > len(before.rows)
        return [*([change.key] if is_new else []), *self._faded(gone)]

    def hold(self, listed: Listed) -> None:
        """Count a list in place of the one that had its key; nothing is learned from it."""
        before = self.lists.get(listed.key)
        if before is not None:
            self.skipgram.counts[before.rows] -= 1
        elif listed.key.startswith(SESSION):
            self.sessions.append(listed.key)
        self.skipgram.counts[listed.rows] += 1
        self.lists.put(listed)
        while len(self.sessions) > self.config.sessions:
            self._forget(self.sessions.popleft())

    def _forget(self, key: str) -> Rows:
        """The tracks of a list that counts no more."""
        before = self.lists.take(key)
        if before is None:
            return np.zeros(0, np.int32)
        self.skipgram.counts[before.rows] -= 1
        return before.rows

    def _faded(self, rows: Rows) -> list[str]:
        """Let what tracks have from a list that is gone fade in proportion; some other lists that hold them."""
        if not len(rows):
            return []
        left = self.skipgram.counts[rows].astype(np.float32)
        share = (left / (left + 1))[:, None]
        self.skipgram.vectors[rows] *= share
        self.skipgram.contexts[rows] *= share
        self._touched.update(rows.tolist())
        gone = frozenset(rows.tolist())
        held = self.lists.drawn(LOOKED_THROUGH, self.rng)
        return [one.key for one in held if not gone.isdisjoint(one.rows.tolist())][:AGAIN_MAX]

    def rows_of(self, track_ids: Iterable[str], starts: Starts = nowhere) -> Rows:
        """The rows of tracks, each once; those that are new are added."""
        distinct = list(dict.fromkeys(track_ids))
        new = [track_id for track_id in distinct if track_id not in self.rows]
        if new:
            self.add(new, self._beginnings(new, starts(new)))
        return np.array([self.rows[track_id] for track_id in distinct], dtype=np.int32)

    def _beginnings(self, new: Sequence[str], known: Mapping[str, Matrix]) -> Matrix:
        dimensions = self.config.dimensions
        vectors: Matrix = (self.rng.random((len(new), dimensions), dtype=np.float32) - 0.5) / np.float32(dimensions)
        length = self._usual_length() if known else 0.0
        for at, track_id in enumerate(new):
            if track_id in known:
                vectors[at] = known[track_id] * length
        return vectors

    def _usual_length(self) -> float:
        """Of a learned vector; 1 before there is any."""
        size = self.skipgram.size
        some = self.rng.integers(size, size=min(size, SAMPLED))
        lengths = np.linalg.norm(self.skipgram.vectors[some[self.skipgram.counts[some] > 0]], axis=1)
        return float(lengths.mean()) if len(lengths) else 1.0

    def add(self, track_ids: Sequence[str], vectors: Matrix, contexts: Matrix | None = None) -> None:
        """Give rows to tracks that have none."""
        # The row is there before anybody finds it.
        self.skipgram.add(vectors, contexts)
        for row, track_id in enumerate(track_ids, len(self.track_ids)):
            self.rows[track_id] = row
        self.track_ids.extend(track_ids)

    # Going over it again

    def settle(self, tracks: int = 1_000) -> int:
        """Go over some of the lists that are due, those of so many tracks; how many tracks that were."""
        batch = self._taken(tracks, list(itertools.islice(self.due, tracks)))
        self._go_over(batch, self.config.rehearsed)
        return sum(len(one.rows) for one in batch)

    def _taken(self, tracks: int, keys: Iterable[str]) -> list[Turn]:
        """Those of some lists that are due, until they hold so many tracks; of one that has changed, what it is now."""
        batch: list[Turn] = []
        held = 0
        for key in keys:
            if held >= tracks:
                break
            passes, listed = self.due.pop(key, 0), self.lists.get(key)
            if passes and listed is not None and len(listed.rows) > 1:
                batch.append(Turn(key, listed.rows, passes))
                held += len(listed.rows)
        return batch

    def _go_over(self, batch: Sequence[Turn], rehearsed: float) -> None:
        config = self.config
        parts = [(part, one.passes) for one in batch for part in segments(one.rows, config.segment, self.rng)]
        earlier = self.lists.drawn(math.ceil(rehearsed * len(parts)), self.rng)
        for listed, (part, passes) in zip(earlier, itertools.cycle(tuple(parts)), strict=False):
            # As many tracks as of the new list: going over it again is never the larger part.
            parts += [(found, passes) for found in segments(listed.rows, len(part), self.rng)[:1]]
        if parts:
            self._temper(np.unique(np.concatenate([part for part, _ in parts])))
        by_passes: dict[int, list[Rows]] = defaultdict(list)
        for at in self.rng.permutation(len(parts)).tolist():
            by_passes[parts[at][1]].append(parts[at][0])
        for passes, together in by_passes.items():
            self.skipgram.train(together, config.rate_at(passes / config.stream_passes))
        self.due |= {one.key: one.passes - 1 for one in batch if one.passes > 1}

    def _temper(self, rows: Rows) -> None:
        """These tracks are about to move, each the less, the more lists hold it."""
        familiar = self.config.familiar
        self.skipgram.shares[rows] = familiar / (familiar + self.skipgram.counts[rows])
        self._touched.update(rows.tolist())

    # What is given out

    def learned(self, track_ids: Iterable[str]) -> dict[str, tuple[Matrix, int]]:
        """Of those of the tracks that some list holds: the unit vector, and how many lists."""
        known = [track_id for track_id in track_ids if track_id in self.rows]
        rows = np.array([self.rows[track_id] for track_id in known], dtype=np.int32)
        counts = self.skipgram.counts[rows].tolist()
        found = zip(known, self.places(rows), counts, strict=True)
        return {track_id: (vector, count) for track_id, vector, count in found if count > 0}

    def places(self, rows: Rows) -> Matrix:
        """(B, D) unit vectors of tracks, 0 for one that no list holds."""
        sums = self.skipgram.vectors[rows] + self.skipgram.contexts[rows]
        sums[self.skipgram.counts[rows] == 0] = 0
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.where(lengths > 0, lengths, 1), np.float32)

    def moved(self, beyond: float, most: int) -> dict[str, Matrix]:
        """Some tracks that have moved since they were given out, with their unit vectors; 0 where no list is left.

        Args:
            beyond: 1 less the cosine; what moved less is not worth a write.
            most: tracks looked at; the others are looked at by the next call.
        """
        rows = np.array([self._touched.pop() for _ in range(min(most, len(self._touched)))], dtype=np.int32)
        places = self.places(rows)
        far = self.given.moved(rows, places) > beyond
        self.given.put(rows[far], places[far])
        return {self.track_ids[row]: place for row, place in zip(rows[far].tolist(), places[far], strict=True)}

    @property
    def is_given(self) -> bool:
        """Whether `moved` has looked at all that has been gone over."""
        return not self._touched

    def was_given(self, track_ids: Sequence[str], vectors: Mapping[str, Matrix]) -> None:
        """These tracks have these unit vectors out there, or none; the next look finds those that are elsewhere."""
        none = np.zeros(self.config.dimensions, np.float32)
        rows = np.array([self.rows[track_id] for track_id in track_ids], dtype=np.int32)
        if len(rows):
            self.given.put(rows, np.stack([vectors.get(track_id, none) for track_id in track_ids]))
        self._touched.update(rows.tolist())

    def drift(self) -> float | None:
        """How far tracks have moved on average since the last full training: 1 less the cosine; `None` without one."""
        rows = self.anchors.rows
        if len(rows) > DRIFT_SAMPLED:
            rows = self.rng.choice(rows, DRIFT_SAMPLED, replace=False)
        rows = rows[self.skipgram.counts[rows] > 0]
        return float(self.anchors.moved(rows, self.places(rows)).mean()) if len(rows) else None
