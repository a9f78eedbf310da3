"""A playlist under the lab's glass: from a file or an installation to all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from recall.order import better_order
from recall.playlist_lab import Analysis, analyse, best_next
from recall.tracks import ACOUSTIC, CataloguedTrack, IndexedTrack
from streams.errors import StreamError
from streams.importing.playlists import open_playlists
from streams.importing.tracks import open_tracks
from streams.labelled import records_of
from topics.records import Playlist, Track

if TYPE_CHECKING:
    from models.embeat_mlp import EmbeatMLP

# Tracks of a longer playlist are looked at up to here: all are compared with all.
LONGEST = 1_000
NEXT = 20


class PlaylistUnknown(StreamError):
    """The playlist cannot be looked at; the message says why."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One track of the playlist. `fit` 1 = fits best, 0 = worst; `chosen`: near neighbour of so many others."""

    position: int
    track_id: str
    title: str
    artist: str
    fit: float
    chosen: int
    nearest: tuple[str, ...]
    place: tuple[float, float]
    is_outlier: bool
    is_hub: bool
    is_isolate: bool


class Next(msgspec.Struct, frozen=True):
    """A track that would go well with it."""

    track_id: str
    title: str
    artist: str
    likeness: float


class Order(msgspec.Struct, frozen=True):
    """An order to hear the playlist in: a mean cost from track to track, now and so (recall/order.py), each 0..1."""

    track_ids: tuple[str, ...]
    cost_now: float
    cost: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that the lab says. `missing`: tracks that the catalogue does not hold, or whose sound is unknown."""

    name: str
    tracks: int
    cohesion: float
    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    next: tuple[Next, ...]
    order: Order
    likeness: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Listed:
    """A playlist and the catalogue that it is looked at in."""

    name: str
    track_ids: Sequence[str]
    catalogue: Sequence[CataloguedTrack]


def playlist_in(path: Path, playlist_id: str | None) -> tuple[str, Sequence[str]]:
    """Name and tracks of a playlist in a file: that with the id, else the only one there is.

    Raises:
        PlaylistUnknown: there is none with the id, or there are several and none is named.
        FileUnreadable, ColumnsMissing: what their names say.
    """
    found: dict[str, Playlist] = {one.playlist_id: one for one in records_of(open_playlists(path), Playlist)}
    wanted = playlist_id if playlist_id is not None or len(found) != 1 else next(iter(found))
    if wanted not in found:
        some = ", ".join(list(found)[:5]) or "none"
        raise PlaylistUnknown(f"expected --playlist with one of the {len(found)} in {path} ({some}), got {wanted}")
    return found[wanted].name or wanted, found[wanted].track_ids


def catalogue_in(path: Path) -> list[CataloguedTrack]:
    """The tracks of a file. Raises FileUnreadable, ColumnsMissing."""
    from streams.agents.catalogue import catalogued

    return [catalogued(one, {}, added_at_ms=0) for one in records_of(open_tracks(path), Track)]


def report_of(listed: Listed, model: EmbeatMLP) -> Report:
    """What the lab says of a playlist.

    Raises:
        PlaylistUnknown: fewer than two of its tracks are in the catalogue with a known sound.
    """
    able = [track for track in listed.catalogue if model.can_embed(track)]
    vectors = model.embed(able)
    indexed = [IndexedTrack(track, {ACOUSTIC: vector}) for track, vector in zip(able, vectors, strict=True)]
    by_id = {one.track.track_id: one for one in indexed}
    distinct = list(dict.fromkeys(listed.track_ids))
    held = [by_id[one] for one in distinct if one in by_id][:LONGEST]
    try:
        found = analyse(np.stack([one.vectors[ACOUSTIC] for one in held]) if held else np.zeros((0, 64), np.float32))
    except ValueError as error:
        raise PlaylistUnknown(f"{listed.name}: {error} of {len(distinct)} in the catalogue") from error
    return Report(
        name=listed.name,
        tracks=len(distinct),
        cohesion=round(found.cohesion, 4),
        lines=tuple(_line(at, held, found) for at in range(len(held))),
        missing=tuple(one for one in distinct if one not in by_id),
        next=tuple(
            Next(one.track.track_id, one.track.title, artist_of(one.track), round(likeness, 4))
            for one, likeness in best_next(held, indexed, NEXT, ACOUSTIC)
        ),
        order=_order(held),
        likeness=tuple(tuple(row) for row in np.round(found.likeness, 3).tolist()),
    )


def artist_of(track: CataloguedTrack) -> str:
    """Its artists as one text."""
    return ", ".join(artist.name or artist.artist_id or "?" for artist in track.artists)


def summary(report: Report) -> Mapping[str, object]:
    """The report without the matrix, which is only for drawing."""
    fields = msgspec.to_builtins(report)
    del fields["likeness"]
    return {
        **fields,
        "outliers": [one.track_id for one in report.lines if one.is_outlier],
        "hubs": [one.track_id for one in report.lines if one.is_hub],
        "isolates": [one.track_id for one in report.lines if one.is_isolate],
    }


def _order(held: Sequence[IndexedTrack]) -> Order:
    vectors = {one.track.track_id: one.vectors[ACOUSTIC] for one in held}
    places, now, cost = better_order([one.track for one in held], vectors)
    return Order(tuple(held[at].track.track_id for at in places), round(now, 4), round(cost, 4))


def _line(at: int, held: Sequence[IndexedTrack], found: Analysis) -> Line:
    track = held[at].track
    x, y = found.places[at].tolist()
    return Line(
        position=at,
        track_id=track.track_id,
        title=track.title,
        artist=artist_of(track),
        fit=round(float(found.fit[at]), 4),
        chosen=int(found.chosen[at]),
        nearest=tuple(held[one].track.track_id for one in found.neighbours[at].tolist()),
        place=(round(x, 4), round(y, 4)),
        is_outlier=at in found.outliers,
        is_hub=at in found.hubs,
        is_isolate=at in found.isolates,
    )
