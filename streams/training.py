"""From a catalogue's files to a trained EmbeatMLP with its manifest."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contrastive import Examples, OnStep, Training, nearest_rows, share_alike, share_overlapping, train
from models.embeat_mlp import EmbeatMLP, load_checkpoint, save_checkpoint
from models.features import can_embed
from recall.titles import title_key
from streams.importing.playlists import open_playlists
from streams.importing.source import Source, letter_of
from streams.importing.tracks import open_tracks
from topics.codec import decode
from topics.errors import RecordRefused
from topics.records import Features, Playlist, Track

HELD_OUT = 0.1
QUERIES_MAX = 5_000


@dataclass(frozen=True)
class Catalogue:
    """Tracks that can be embedded, with what they have in common.

    Attributes:
        labels: relation -> (N,) int64 group of each track, -1 where unknown.
        playlists: rows of the tracks of each playlist.
    """

    tracks: Sequence[Track]
    labels: dict[str, NDArray[np.int64]]
    playlists: Sequence[NDArray[np.int64]]

    @property
    def features(self) -> list[Features]:
        """Of each track."""
        return [track.features or Features() for track in self.tracks]


def read_catalogue(tracks_path: Path, playlists_path: Path) -> Catalogue:
    """The tracks of a file that can be embedded, one release of each recording, and the playlists that hold them."""
    tracks: dict[tuple[str, str], Track] = {}
    for record in records_of(open_tracks(tracks_path), Track):
        if record.features and can_embed(record.features):
            tracks.setdefault((title_key(record.title), _artist(record) or record.track_id), record)
    kept = list(tracks.values())
    rows = {track.track_id: row for row, track in enumerate(kept)}
    playlists = [
        np.array(sorted({rows[i] for i in one.track_ids if i in rows}), dtype=np.int64)
        for one in records_of(open_playlists(playlists_path), Playlist)
    ]
    albums = [track.album.album_id if track.album else None for track in kept]
    labels = {"album": _numbered(albums), "artist": _numbered([_artist(track) for track in kept])}
    return Catalogue(kept, labels, playlists)


def train_on(
    catalogue: Catalogue,
    training: Training,
    out: Path,
    source: dict[str, Any],
    on_step: OnStep,
    beside: Sequence[Path] = (),
) -> dict[str, Any]:
    """Train without a tenth of the artists, measure on these, and write weights and manifest.

    Returns:
        The metrics of the manifest: by model, of the 10 nearest tracks the share with the query's album, artist, genre.
    """
    artists = catalogue.labels["artist"]
    rng = np.random.default_rng(training.seed)
    known = np.unique(artists[artists >= 0])
    held_out = np.isin(artists, rng.choice(known, int(HELD_OUT * len(known)), replace=False))
    network = train(_examples(catalogue, np.flatnonzero(~held_out)), training, on_step=on_step)
    queries = np.flatnonzero(held_out)
    queries = rng.choice(queries, min(QUERIES_MAX, len(queries)), replace=False)
    models = {"trained": EmbeatMLP(network, "trained"), **{path.stem: load_checkpoint(path) for path in beside}}
    metrics: dict[str, Any] = {name: measure(model, catalogue, queries) for name, model in models.items()}
    metrics["held_out"] = {"artists": int(HELD_OUT * len(known)), "queries": len(queries)}
    save_checkpoint(network, out, {"training": asdict(training), "data": source, "metrics": metrics})
    return metrics


def measure(model: EmbeatMLP, catalogue: Catalogue, queries: NDArray[np.int64]) -> dict[str, float]:
    """Share of the 10 nearest with the query's album, with its artist, and with one of its genres."""
    vectors = np.concatenate([model.embed(chunk) for chunk in _chunks(catalogue.features, 4096)])
    nearest = nearest_rows(vectors, queries)
    shares = {name: share_alike(nearest, queries, labels) for name, labels in catalogue.labels.items()}
    shares["genre"] = share_overlapping(nearest, queries, _genre_bits(catalogue.tracks))
    return {f"{name}@10": round(share, 4) for name, share in shares.items()}


def _genre_bits(tracks: Sequence[Track]) -> NDArray[np.int64]:
    """(N,) one bit a genre, for the 62 most frequent."""
    counted = Counter(genre for track in tracks for genre in track.genres or ())
    bits = {genre: 1 << at for at, (genre, _) in enumerate(counted.most_common(62))}
    return np.array([sum(bits.get(genre, 0) for genre in set(track.genres or ())) for track in tracks], dtype=np.int64)


def fingerprint(*paths: Path) -> dict[str, Any]:
    """What a model was trained on: the files' names and the sha256 of their contents."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _examples(catalogue: Catalogue, rows: NDArray[np.int64]) -> Examples:
    place = np.full(len(catalogue.tracks), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    features = catalogue.features
    groups = {name: _groups(labels[rows]) for name, labels in catalogue.labels.items()}
    groups["playlist"] = [own for one in catalogue.playlists if len(own := place[one][place[one] >= 0]) > 1]
    return Examples([features[row] for row in rows], groups, catalogue.labels["artist"][rows])


def _groups(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    members: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels.tolist()):
        if label >= 0:
            members[label].append(row)
    return [np.array(one, dtype=np.int64) for one in members.values() if len(one) > 1]


def records_of(source: Source, kind: type[Any]) -> Iterator[Any]:
    """The records of a file, those that break the contract left out."""
    for item in source.items():
        try:
            yield decode(letter_of(source, item, None).value, kind)
        except RecordRefused:
            continue


def _artist(track: Track) -> str | None:
    first = track.artists[0] if track.artists else None
    return (first.artist_id or first.name) if first else None


def _numbered(names: Iterable[str | None]) -> NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array([-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _chunks(features: Sequence[Features], size: int) -> Iterator[Sequence[Features]]:
    return (features[start : start + size] for start in range(0, len(features), size))
