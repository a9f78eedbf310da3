"""Free text to tracks and artists: an index of titles and names that forgives spelling."""

from recall.texts.index import TextIndex
from recall.texts.matches import Found, Match, Texts

__all__ = ["Found", "Match", "TextIndex", "Texts"]
