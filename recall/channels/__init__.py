"""Where candidates come from, one channel a file."""

from recall.channels.acoustic import Acoustic
from recall.channels.artist_neighbours import ArtistNeighbours
from recall.channels.described import Described
from recall.channels.factors import Factors
from recall.channels.fresh import Fresh
from recall.channels.genre_popular import GenrePopular
from recall.channels.neighbours import Neighbours
from recall.channels.playlist import InPlaylists
from recall.channels.protocol import Candidate, Channel
from recall.channels.same_artist import SameArtist

__all__ = [
    "Acoustic",
    "ArtistNeighbours",
    "Candidate",
    "Channel",
    "Described",
    "Factors",
    "Fresh",
    "GenrePopular",
    "InPlaylists",
    "Neighbours",
    "SameArtist",
]
