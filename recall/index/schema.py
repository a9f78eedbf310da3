"""The fields and the graph that every engine is given, so that one finds what the other does."""

from __future__ import annotations

from typing import NamedTuple

from recall.index.protocol import RANGED_FEATURES
from recall.tracks import LEARNED

DOC = "doc"
UPDATED_AT = "updated_at_ms"
POPULARITY = "popularity"
ADDED_AT = "added_at_ms"
RELEASED = "released"

KEYWORD_FIELDS = ("artist_ids", "genres")
DECIMAL_FIELDS = (POPULARITY, *RANGED_FEATURES)
# Only ranges and orders are asked of them, so they need no index for exact values.
INTEGER_FIELDS = (RELEASED, ADDED_AT)

# Kilobytes of vectors below which a segment gets no graph: comparing with each of 8,000 of 64 dimensions is as fast.
PLAIN_BELOW_KB = 2_000


class Graph(NamedTuple):
    """How vectors of one name are searched.

    Attributes:
        links: of each vector to others, twice as many on the lowest layer.
        build_breadth: candidates kept while building.
        search_breadth: candidates kept while searching.
        compare_all_below_kb: kilobytes of vectors below which those that meet a filter are all compared. The engine
            counts the room of all tracks, whether they have this vector or not.
    """

    links: int
    build_breadth: int
    search_breadth: int
    compare_all_below_kb: int


# Recall@30 on 234,575 embedded tracks: 1.0 from a track, 0.95 from the mean of three drawn at random, in 0.25 ms. Twice
# the breadth of the search adds 0.02 for half as much time again, and twice that of the build 0.01 for twice the time.
# 20,000 vectors are compared in a millisecond, and exactly.
GRAPH = Graph(16, 100, 128, 5_000)
# What stands in the same playlists lies in tight groups far apart, which fewer links do not connect.
LEARNED_GRAPH = Graph(32, 200, 256, 500)


def graph_of(name: str) -> Graph:
    """How the vectors of this name are searched."""
    return LEARNED_GRAPH if name in LEARNED else GRAPH
