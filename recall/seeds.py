"""What a request starts from: its seeds found in the catalogue, or else the person's taste."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from recall.errors import WordsContradict
from recall.index.protocol import TrackFilter, TrackIndex
from recall.lexicon import Target, understand
from recall.person import Anchor, Person
from recall.query import Start
from recall.texts.matches import Found, Match, Texts
from recall.tracks import IndexedTrack
from topics.records import Seed, Understood

# Of a playlist, as many as this count, evenly spaced; all of it is kept out of the answer.
PLAYLIST_TRACKS = 100
PLAYLIST_MAX = 10_000
ARTIST_TRACKS = 10
ANCHORS_MAX = 20
ANCHOR_HALF_LIFE_MS = 30 * 86_400_000
# A title that is made of mood words is meant as a title only if it is called exactly so and this well known.
CALLED, KNOWN_WELL = 97.0, 60.0
QUERY_SHOWN, GENRES_SHOWN = 200, 5


class Playlists(Protocol):
    """Playlists by id."""

    async def track_ids(self, playlist_id: str) -> tuple[str, ...] | None:
        """The playlist's tracks in their order, `None` when it is not known."""


@dataclass(frozen=True)
class SeedTracks:
    """What one seed stands for: tracks of equal weight, and the artist when it named one.

    Attributes:
        also: more tracks that it holds, which no answer needs to name.
        target: what its words ask for, when they name neither track nor artist.
        understood: what its free text was taken for.
        trouble: what is near, or what is wrong with it, when it stands for nothing.
    """

    seed: Seed
    track_ids: tuple[str, ...] = ()
    artist_id: str | None = None
    also: tuple[str, ...] = ()
    target: Target | None = None
    understood: Understood | None = None
    trouble: str | None = None


async def find(seed: Seed, index: TrackIndex, playlists: Playlists, texts: Texts | None) -> SeedTracks:
    """The tracks that a seed stands for; none when the catalogue does not hold it."""
    if seed.track_id is not None:
        return SeedTracks(seed, (seed.track_id,))
    if seed.artist_id is not None:
        return SeedTracks(seed, await _most_popular(seed.artist_id, index), seed.artist_id)
    if seed.playlist_id is not None:
        held = (await playlists.track_ids(seed.playlist_id) or ())[:PLAYLIST_MAX]
        return SeedTracks(seed, evenly(held, PLAYLIST_TRACKS), also=held)
    return await _meant(seed, seed.query or "", index, texts) if texts else SeedTracks(seed)


async def _most_popular(artist_id: str, index: TrackIndex) -> tuple[str, ...]:
    tracks = await index.most_popular(ARTIST_TRACKS, TrackFilter(artists_any=(artist_id,)))
    return tuple(track.track_id for track in tracks)


async def _meant(seed: Seed, text: str, index: TrackIndex, texts: Texts) -> SeedTracks:
    found = await texts.find(text)
    best = found.best
    try:
        target = understand(text, texts)
    except WordsContradict as error:
        if best is None:
            return SeedTracks(seed, trouble=str(error))
        target = None
    if target is not None and not is_called(found, target):
        return SeedTracks(seed, target=target)
    if best is None:
        near = "; ".join(_label(match) for match in found.others)
        return SeedTracks(seed, trouble=f"near: {near}" if near else None)
    understood = Understood(
        query=text[:QUERY_SHOWN],
        kind=best.kind,
        label=best.label,
        track_id=best.track_ids[0] if best.kind == "track" else None,
        artist_id=best.artist_id,
        others=tuple(_label(match) for match in found.others),
    )
    track_ids = await _most_popular(best.artist_id, index) if best.artist_id else best.track_ids
    return SeedTracks(seed, track_ids or best.track_ids, best.artist_id, understood=understood)


def is_called(found: Found, target: Target) -> bool:
    """Whether a track or an artist is meant by a text that the lexicon understands as well."""
    best = found.best
    if best is None:
        return False
    return bool(target.ignored) or (best.likeness >= CALLED and best.popularity >= KNOWN_WELL)


def evenly(ids: Sequence[str], most: int) -> tuple[str, ...]:
    """At most so many of the ids, evenly spaced, the first among them.

    >>> evenly("abcdefgh", 3)
    ('a', 'c', 'f')
    """
    return tuple(ids) if len(ids) <= most else tuple(ids[at * len(ids) // most] for at in range(most))


def told(target: Target) -> Understood:
    """What words were taken for, in a reply."""
    return Understood(
        query=target.words,
        kind="words",
        label=target.words,
        genres=target.genres[:GENRES_SHOWN],
        features=dict(target.features),
        years=target.years,
        ignored=target.ignored,
    )


def _label(match: Match) -> str:
    return f"{match.label} (artist)" if match.kind == "artist" else match.label


def starts_of_seeds(found: Sequence[SeedTracks], known: Mapping[str, IndexedTrack]) -> list[Start]:
    """Each seed counts 1, shared by its tracks."""
    starts = []
    for one in found:
        here = [known[track_id] for track_id in one.track_ids if track_id in known]
        starts += [Start(indexed, 1 / len(here)) for indexed in here]
    return starts


def unknown(found: Sequence[SeedTracks], known: Mapping[str, IndexedTrack]) -> list[SeedTracks]:
    """The seeds that the catalogue does not hold."""
    return [one for one in found if one.target is None and not any(track_id in known for track_id in one.track_ids)]


def describe(seed: Seed) -> str:
    """The seed as `track:ID`, `artist:ID`, `playlist:ID` or `query:TEXT`."""
    for field in ("track_id", "artist_id", "playlist_id", "query"):
        if (value := getattr(seed, field)) is not None:
            return f"{field.removesuffix('_id')}:{value}"
    raise ValueError("expected a seed with one field, got none")


def describe_trouble(one: SeedTracks) -> str:
    """The seed, and in brackets what is near or wrong."""
    return describe(one.seed)[:QUERY_SHOWN] + (f" ({one.trouble})" if one.trouble else "")


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
