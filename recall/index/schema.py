"""The fields and the graph that every engine is given, so that one finds what the other does."""

from __future__ import annotations

from recall.index.protocol import RANGED_FEATURES

DOC = "doc"
UPDATED_AT = "updated_at_ms"
POPULARITY = "popularity"
ADDED_AT = "added_at_ms"
RELEASED = "released"

KEYWORD_FIELDS = ("artist_ids", "genres")
DECIMAL_FIELDS = (POPULARITY, *RANGED_FEATURES)
# Only ranges and orders are asked of them, so they need no index for exact values.
INTEGER_FIELDS = (RELEASED, ADDED_AT)

# Recall@100 is 0.99 and more with these on 234,575 embedded tracks; twice the links double the build and add nothing.
GRAPH_LINKS = 16
GRAPH_BUILD_BREADTH = 100
# Candidates kept while searching.
SEARCH_BREADTH = 256
# Kilobytes of vectors below which a segment gets no graph: comparing with each of 8,000 of 64 dimensions is as fast.
PLAIN_BELOW_KB = 2_000
# Kilobytes of vectors below which those that meet a filter are all compared: 20,000, a millisecond, and exact.
COMPARE_ALL_BELOW_KB = 5_000
