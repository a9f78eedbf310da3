"""Titles and names compared across alphabets, spellings and editions."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from unidecode import unidecode

_NOT_WORD = re.compile(r"[^a-z0-9]+")


@lru_cache(50_000)
def title_key(text: str) -> str:
    """Two spellings of one title give one key: case, accents, alphabet and punctuation do not count.

    >>> title_key("Beyoncé – Halo!") == title_key("BEYONCE Halo")
    True
    """
    plain = unidecode(unicodedata.normalize("NFKC", text)).casefold()
    key = _NOT_WORD.sub(" ", plain).strip()
    return key or unicodedata.normalize("NFKC", text).casefold().strip()
