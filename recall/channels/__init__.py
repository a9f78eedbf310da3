"""Where candidates come from, one channel a file."""

from recall.channels.acoustic import Acoustic
from recall.channels.fresh import Fresh
from recall.channels.fresh_nearby import FreshNearby
from recall.channels.genre_popular import GenrePopular
from recall.channels.protocol import Allowance, Candidate, Channel
from recall.channels.rising import Rising
from recall.channels.same_artist import SameArtist
from recall.channels.similar_artists import SimilarArtists

__all__ = [
    "Acoustic",
    "Allowance",
    "Candidate",
    "Channel",
    "Fresh",
    "FreshNearby",
    "GenrePopular",
    "Rising",
    "SameArtist",
    "SimilarArtists",
]
