"""What the Track2Vec that grows has counted: its files as they are now, and what they must hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.track2vec import PLAYLIST
from models.track2vec_state import LearnedState
from tests.faults.account import Difference
from tests.faults.content import POISON


@dataclass(frozen=True)
class Learned:
    """What a learner has counted.

    Attributes:
        playlists: tracks by playlist.
        counts: track -> how many lists it was counted in, less the sessions: these are not the driver's doing.
        through: (topic, partition) -> the last offset that counted.
    """

    playlists: Mapping[str, frozenset[str]]
    counts: Mapping[str, int]
    through: Mapping[tuple[str, int], int]


def read_learned(directory: Path) -> Learned:
    """What is in the files; nobody may have them open."""
    (root,) = directory.iterdir()
    state = LearnedState.open(root, None, root.name, 0)
    model = state.model
    named = {one.key: frozenset(model.track_ids[row] for row in one.rows) for one in model.lists}
    counted = np.array(model.skipgram.counts[: len(model.track_ids)], np.int64)
    for one in model.lists:
        if not one.key.startswith(PLAYLIST):
            counted[list(one.rows)] -= 1
    counts = {track: count for track, count in zip(model.track_ids, counted.tolist(), strict=True) if count}
    state.close()
    playlists = {key.removeprefix(PLAYLIST): tracks for key, tracks in named.items() if key.startswith(PLAYLIST)}
    return Learned(playlists, counts, dict(model.offsets))


def must_be_learned(records: Iterable[Any]) -> Learned:
    """What follows from the topic of playlists: one with an older stamp than the one that stands is nothing."""
    standing: dict[str, dict[str, Any]] = {}
    through: dict[tuple[str, int], int] = {}
    for one in records:
        if POISON in dict(one.headers):
            continue
        key = one.key.decode()
        through[one.topic, one.partition] = one.offset
        if one.value is None:
            standing.pop(key, None)
            continue
        record = json.loads(one.value)
        stamps = [(record if of is None else of).get("updated_at_ms") or 0 for of in (None, standing.get(key, {}))]
        if stamps[0] == 0 or stamps[0] >= stamps[1]:
            standing[key] = record
    playlists = {key: frozenset(record["track_ids"]) for key, record in standing.items()}
    return Learned(playlists, Counter(track for tracks in playlists.values() for track in tracks), through)


def differences(must: Learned, has: Learned) -> Iterator[Difference]:
    """Playlist by playlist, track by track, partition by partition."""
    for key in sorted(must.playlists.keys() | has.playlists.keys()):
        wanted, got = must.playlists.get(key), has.playlists.get(key)
        if wanted != got:
            yield Difference("learned playlist", key, wanted and sorted(wanted), got and sorted(got), lost=1)
    for track in sorted(must.counts.keys() | has.counts.keys()):
        wanted, got = must.counts.get(track, 0), has.counts.get(track, 0)
        if wanted != got:
            lost, twice = max(0, wanted - got), max(0, got - wanted)
            yield Difference("learned count of", track, wanted, got, lost, twice)
    for place, offset in must.through.items():
        if has.through.get(place) != offset:
            yield Difference("learned through", str(place), offset, has.through.get(place))
