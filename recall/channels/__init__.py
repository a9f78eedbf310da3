"""Where candidates come from, one channel a file."""

from recall.channels.acoustic import Acoustic
from recall.channels.anchors import Anchors
from recall.channels.artist_neighbours import ArtistNeighbours
from recall.channels.described import Described
from recall.channels.factors import Factors
from recall.channels.fresh import Fresh
from recall.channels.fresh_nearby import FreshNearby
from recall.channels.genre_popular import GenrePopular
from recall.channels.leaning import WhereLeaning
from recall.channels.listeners import Listeners
from recall.channels.neighbours import Neighbours
from recall.channels.playlist import InPlaylists
from recall.channels.protocol import Allowance, Candidate, Channel
from recall.channels.rising import Rising
from recall.channels.same_artist import SameArtist
from recall.channels.session_neighbours import SessionNeighbours
from recall.channels.similar_artists import SimilarArtists

__all__ = [
    "Acoustic",
    "Allowance",
    "Anchors",
    "ArtistNeighbours",
    "Candidate",
    "Channel",
    "Described",
    "Factors",
    "Fresh",
    "FreshNearby",
    "GenrePopular",
    "InPlaylists",
    "Listeners",
    "Neighbours",
    "Rising",
    "SameArtist",
    "SessionNeighbours",
    "SimilarArtists",
    "WhereLeaning",
]
