"""What a request starts from: its seeds found in the catalogue, or else the person's taste."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from recall.index.protocol import TrackFilter, TrackIndex
from recall.person import Anchor, Person
from recall.query import Start
from recall.titles import title_key
from recall.tracks import CataloguedTrack, IndexedTrack
from topics.records import Seed

PLAYLIST_TRACKS = 100
ARTIST_TRACKS = 10
SAME_TITLE = 200
ANCHORS_MAX = 20
ANCHOR_HALF_LIFE_MS = 30 * 86_400_000


class Playlists(Protocol):
    """Playlists by id."""

    async def track_ids(self, playlist_id: str) -> tuple[str, ...] | None:
        """The playlist's tracks in their order, `None` when it is not known."""


@dataclass(frozen=True)
class SeedTracks:
    """What one seed stands for: tracks of equal weight, and the artist when it named one."""

    seed: Seed
    track_ids: tuple[str, ...]
    artist_id: str | None = None


async def find(seed: Seed, index: TrackIndex, playlists: Playlists) -> SeedTracks:
    """The tracks that a seed stands for; none when the catalogue does not hold it."""
    if seed.track_id is not None:
        return SeedTracks(seed, (seed.track_id,))
    if seed.artist_id is not None:
        tracks = await index.most_popular(ARTIST_TRACKS, TrackFilter(artists_any=(seed.artist_id,)))
        return SeedTracks(seed, tuple(track.track_id for track in tracks), seed.artist_id)
    if seed.playlist_id is not None:
        return SeedTracks(seed, (await playlists.track_ids(seed.playlist_id) or ())[:PLAYLIST_TRACKS])
    found = await search(seed.query or "", index)
    return SeedTracks(seed, (found.track_id,) if found else ())


async def search(text: str, index: TrackIndex) -> CataloguedTrack | None:
    """The most popular track called `title`, or `title - artist`, in any case, spelling of accents or alphabet."""
    for title, artist in _readings(text):
        tracks = await index.most_popular(SAME_TITLE, TrackFilter(title_key=title_key(title)))
        named = [track for track in tracks if artist is None or _by(track, title_key(artist))]
        if named:
            return named[0]
    return None


def _readings(text: str) -> list[tuple[str, str | None]]:
    parts = text.split(" - ")
    split = [(" - ".join(parts[:at]), " - ".join(parts[at:])) for at in range(1, len(parts))]
    return [(text, None), *split, *((artist, title) for title, artist in split)]


def _by(track: CataloguedTrack, artist_key: str) -> bool:
    return any(artist.name is not None and artist_key == title_key(artist.name) for artist in track.artists)


def starts_of_seeds(found: Sequence[SeedTracks], known: Mapping[str, IndexedTrack]) -> list[Start]:
    """Each seed counts 1, shared by its tracks."""
    starts = []
    for one in found:
        here = [known[track_id] for track_id in one.track_ids if track_id in known]
        starts += [Start(indexed, 1 / len(here)) for indexed in here]
    return starts


def unknown(found: Sequence[SeedTracks], known: Mapping[str, IndexedTrack]) -> list[Seed]:
    """The seeds that the catalogue does not hold."""
    return [one.seed for one in found if not any(track_id in known for track_id in one.track_ids)]


def describe(seed: Seed) -> str:
    """The seed as `track:ID`, `artist:ID`, `playlist:ID` or `query:TEXT`."""
    for field in ("track_id", "artist_id", "playlist_id", "query"):
        if (value := getattr(seed, field)) is not None:
            return f"{field.removesuffix('_id')}:{value}"
    raise ValueError("expected a seed with one field, got none")


def anchors_by_weight(person: Person, *, now_ms: int) -> list[Anchor]:
    """The person's strongest anchors, each halved for every month that it is older than the latest.

    A clock that runs ahead of `now_ms` ages nothing.
    """
    latest_ms = min(now_ms, max((anchor.at_ms for anchor in person.anchors), default=0))
    faded = [
        Anchor(anchor.track_id, anchor.weight * 0.5 ** (age_ms / ANCHOR_HALF_LIFE_MS), anchor.at_ms)
        for anchor in person.anchors
        for age_ms in (max(0, latest_ms - anchor.at_ms),)
        if anchor.track_id not in person.dislikes
    ]
    return sorted(faded, key=lambda anchor: (-anchor.weight, anchor.track_id))[:ANCHORS_MAX]


def starts_of_person(anchors: Sequence[Anchor], known: Mapping[str, IndexedTrack], person: Person) -> list[Start]:
    """The anchors that the catalogue holds, but none of a blocked artist."""
    held = [(known[anchor.track_id], anchor.weight) for anchor in anchors if anchor.track_id in known]
    return [
        Start(indexed, weight)
        for indexed, weight in held
        if weight > 0 and person.blocked_artists.isdisjoint(indexed.track.artist_ids)
    ]
