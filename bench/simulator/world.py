"""Where real tracks stand in the space of taste, of which a recommender sees only parts.

A track's place has three parts: how it sounds (its audio features), with what people put it together (a truncated SVD
of the playlists; of a track in none, its artist's), and what nothing states: a direction that an artist's tracks share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from recall.tracks import CataloguedTrack
from streams.labelled import Catalogue, Labels

# Shares of the three parts in the square of a track's length.
SOUND, TOGETHER, HIDDEN = 0.35, 0.4, 0.25
TOGETHER_SIZE, HIDDEN_SIZE = 16, 8
# How far the hidden direction of a track may be from its artist's.
APART = 0.5
SOUNDS = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness", "liveness")

Places = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """Tracks in rows.

    Attributes:
        places: (N, D), each of length 1.
        energy: (N,) 0..1, 0.5 where it is not known.
        artists: (N,) labels; a track of an unknown artist has its own.
        durations_ms: (N,).
        playlists: rows, those of four tracks and more.
    """

    track_ids: list[str]
    places: Places
    energy: NDArray[np.float32]
    artists: Labels
    durations_ms: Labels
    playlists: list[Labels]

    def __len__(self) -> int:
        """How many tracks."""
        return len(self.track_ids)


def world_of(catalogue: Catalogue, seed: int) -> World:
    """The world of a catalogue; the seed draws what nothing states."""
    rng = np.random.default_rng(seed)
    count = len(catalogue.tracks)
    artists = np.where(catalogue.artists < 0, catalogue.artists.max() + 1 + np.arange(count), catalogue.artists)
    _, artists = np.unique(artists, return_inverse=True)
    sound, together = _sounds(catalogue.tracks), _together(catalogue.playlists, artists, rng)
    hidden = _unit(rng.normal(size=(int(artists.max()) + 1, HIDDEN_SIZE)))[artists]
    hidden = _unit(hidden + APART * _unit(rng.normal(size=hidden.shape)))
    parts = [np.sqrt(share) * part for share, part in ((SOUND, sound), (TOGETHER, together), (HIDDEN, hidden))]
    return World(
        track_ids=[track.track_id for track in catalogue.tracks],
        places=_unit(np.concatenate(parts, axis=1)).astype(np.float32),
        energy=np.array([_feature(track, "energy", 0.5) for track in catalogue.tracks], np.float32),
        artists=artists.astype(np.int64),
        durations_ms=np.array([track.duration_ms or 210_000 for track in catalogue.tracks], np.int64),
        playlists=[rows for rows in catalogue.playlists if len(rows) >= 4],
    )


def _sounds(tracks: Sequence[CataloguedTrack]) -> NDArray[np.float64]:
    table = np.array([[_feature(track, name, np.nan) for name in SOUNDS] for track in tracks])
    table = (table - np.nanmean(table, axis=0)) / np.nanstd(table, axis=0)
    return _unit(np.nan_to_num(table))


def _feature(track: CataloguedTrack, name: str, otherwise: float) -> float:
    found = getattr(track.features, name, None)
    return otherwise if found is None else float(found)


def _together(playlists: Sequence[Labels], artists: Labels, rng: np.random.Generator) -> NDArray[np.float64]:
    """(N, TOGETHER_SIZE): a track in no playlist stands where its artist does; 0 where that is not known either."""
    lists = [rows for rows in playlists if len(rows) > 1]
    count = len(artists)
    found = np.zeros((count, TOGETHER_SIZE))
    if len(lists) > TOGETHER_SIZE:
        columns = np.concatenate(lists)
        rows = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
        weights = np.concatenate([np.full(len(one), 1 / np.sqrt(len(one))) for one in lists])
        table = csr_matrix((weights, (rows, columns)), shape=(len(lists), count))
        _, strengths, places = svds(table, k=TOGETHER_SIZE, v0=rng.normal(size=len(lists)))
        found = _unit(places.T * np.sqrt(strengths))
    sums = np.zeros((int(artists.max()) + 1, TOGETHER_SIZE))
    np.add.at(sums, artists, found)
    alone = np.linalg.norm(found, axis=1) < 1e-6
    found[alone] = sums[artists[alone]]
    return _unit(found)


def _unit(table: NDArray[Any]) -> NDArray[np.float64]:
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.where(length > 1e-9, length, 1), np.float64)
