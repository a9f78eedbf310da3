"""What recall can fail at."""

from __future__ import annotations


class RecallError(Exception):
    """Root of everything this layer raises."""


class ChannelUnavailable(RecallError):
    """A channel could not look; an empty list would have meant that nothing fits."""


class IndexUnavailable(ChannelUnavailable):
    """The vector index did not answer, or refused what it was given."""


class UnknownSeed(RecallError):
    """A seed names nothing that the catalogue holds; the message says which."""


class WordsContradict(UnknownSeed):
    """Words ask for what no track can be at once; the message says which."""
