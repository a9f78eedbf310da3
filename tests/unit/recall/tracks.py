"""Hand-made tracks whose place is known: vectors in a plane, one direction a genre."""

from __future__ import annotations

import numpy as np

from recall.tracks import ACOUSTIC, CataloguedTrack, IndexedTrack, Vector
from topics.records import ArtistRef


def direction(degrees: float) -> Vector:
    vector = np.zeros(64, np.float32)
    vector[0], vector[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def track(track_id: str, artist: str = "a", **fields: object) -> CataloguedTrack:
    fields.setdefault("title", f"Title {track_id}")
    return CataloguedTrack(track_id=track_id, artists=(ArtistRef(artist_id=artist, name=f"Name {artist}"),), **fields)


def at(degrees: float, track_id: str, artist: str = "a", **fields: object) -> IndexedTrack:
    return IndexedTrack(track(track_id, artist, **fields), {ACOUSTIC: direction(degrees)})
