"""A file of playlists as a model learns from it."""

from __future__ import annotations

from pathlib import Path

from models.track2vec import PLAYLIST, Change
from streams.catalogue import sample_playlists
from streams.importing.playlists import open_playlists
from streams.labelled import records_of
from topics.records import Playlist


def read_playlists(path: Path | None) -> tuple[Path, list[Change]]:
    """The file, else the sample's, and its playlists; of one that comes twice the last.

    Raises:
        FileUnreadable, ColumnsMissing: what their names say.
    """
    path = path or sample_playlists()
    found: dict[str, Playlist] = {one.playlist_id: one for one in records_of(open_playlists(path), Playlist)}
    return path, [
        Change("file", 0, at, PLAYLIST + one.playlist_id, one.track_ids, one.updated_at_ms or 0)
        for at, one in enumerate(found.values())
    ]
