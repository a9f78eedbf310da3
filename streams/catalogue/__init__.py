"""The sample that ships with Throughbeat: see `sample/README.md` for where it comes from."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

__all__ = ["sample_playlists", "sample_tracks"]


def sample_tracks() -> Path:
    """The sample's tracks, `tracks.csv.gz`."""
    return _sample("tracks.csv.gz")


def sample_playlists() -> Path:
    """The sample's playlists, `playlists.csv.gz`."""
    return _sample("playlists.csv.gz")


def _sample(name: str) -> Path:
    # A package that holds files beside binaries is always installed as files, never read out of a zip.
    return Path(str(importlib.resources.files("streams.catalogue").joinpath("sample", name)))
