"""Which channels of recall an installation has, and what each may take."""

from __future__ import annotations

from collections.abc import Mapping

from recall.channels import (
    Acoustic,
    Allowance,
    Anchors,
    ArtistNeighbours,
    Channel,
    Described,
    Factors,
    Fresh,
    FreshNearby,
    GenrePopular,
    InPlaylists,
    Listeners,
    Neighbours,
    Rising,
    SameArtist,
    SessionNeighbours,
    SimilarArtists,
    WhereLeaning,
)
from recall.channels.session_neighbours import Past
from recall.channels.similar_artists import Relations
from recall.index.protocol import TrackIndex
from recall.shelf import Shelf
from streams.errors import SettingInvalid
from streams.plays import PlayBoard
from streams.settings import Settings, variable

# Every candidate costs an answer some 20 us, and each channel's last ones seldom come to anything. `similar_artists` is
# the only one that may ask Redis; the others find what they need in the index and in memory.
DEFAULTS: Mapping[str, Allowance] = {
    "acoustic": Allowance(share=0.8),
    "playlist": Allowance(share=0.6),
    "same_artist": Allowance(share=0.5),
    "similar_artists": Allowance(limit=12, within_s=0.25),
    "artist_neighbours": Allowance(share=0.8),
    "neighbours": Allowance(share=0.5),
    "factors": Allowance(share=0.4),
    "session_neighbours": Allowance(share=0.5),
    "listeners": Allowance(share=0.4),
    "genre_popular": Allowance(share=0.5),
    "rising": Allowance(share=0.4),
}
OFF = "off"


def open_channels(
    settings: Settings, index: TrackIndex, board: PlayBoard, relations: Relations, shelf: Shelf, past: Past
) -> tuple[list[Channel], dict[str, Allowance]]:
    """The channels that are on, and what each of them may take.

    Raises:
        SettingInvalid: the setting names a channel that there is not.
    """
    channels: list[Channel] = [
        Acoustic(index),
        InPlaylists(index),
        SameArtist(index),
        SimilarArtists(index, relations),
        ArtistNeighbours(index, shelf),
        Neighbours(index, shelf),
        Factors(index, shelf),
        SessionNeighbours(index, past),
        Listeners(index, shelf),
        Fresh(index),
        FreshNearby(index),
        GenrePopular(index, board),
        Rising(index, board),
        Anchors(),
        WhereLeaning(index, shelf),
        Described(index),
        *(Acoustic(index, one.name) for one in settings.declared_vectors),
    ]
    said = allowances_in(settings.channels)
    names = [channel.name for channel in channels]
    if unknown := sorted(said.keys() - set(names)):
        raise SettingInvalid(f"{variable('channels')}: expected {', '.join(names)}, got {', '.join(unknown)}")
    allowances = {**DEFAULTS, **{name: one for name, one in said.items() if one is not None}}
    off = {name for name, one in said.items() if one is None}
    return [channel for channel in channels if channel.name not in off], allowances


def allowances_in(text: str) -> dict[str, Allowance | None]:
    """What the setting says of channels: `None` = off.

    >>> allowances_in("rising=off, acoustic=100/50")
    {'rising': None, 'acoustic': Allowance(limit=100, within_s=0.05)}
    """
    said: dict[str, Allowance | None] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, bounds = part.partition("=")
        limit, _, ms = bounds.partition("/")
        said[name] = None if bounds == OFF else Allowance(int(limit), int(ms) / 1000 if ms else None)
    return said
