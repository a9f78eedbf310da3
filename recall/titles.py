"""Titles and names compared across alphabets, spellings and editions."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from unidecode import unidecode

_NOT_WORD = re.compile(r"[^a-z0-9]+")

_BRACKETED = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
_DASH = re.compile(r"\s[-–—]+\s*")
# A title without these, and without a guest, is nothing but a stem.
_PARTING = frozenset("([{-–—")
_LISTED = re.compile(r"[;/]")
_GUESTS = re.compile(r"(?<=\S)\s(?:feat\.?|ft\.|featuring)\s(.*)$", re.IGNORECASE)
_BILLED = re.compile(r"\s*(?:feat|ft|featuring|with|prod|produced by|&)(?![a-z])\.?(.*)", re.IGNORECASE)
_BILLING = re.compile(r"\s*(?:[,;/&+]|\b(?:and|feat|ft|featuring|with|x|vs)\b\.?)\s*", re.IGNORECASE)
# A song of a film is named after it; what was recorded at a place is not.
_OF_A_FILM = re.compile(
    r"\s*(?:(?:music |theme |song )?from\s+[\"“”'‘’«„]|original motion picture|soundtrack"
    r"|(?:music )?from\b.*\b(?:motion picture|soundtrack|movie|film|series|album)\b)",
    re.IGNORECASE,
)

# Words of an edition: those that tell it, and those that stand beside one. "Radio Edit", "2011 Remastered Version".
_TELLING = re.compile(
    r"remast\w*|deluxe|expanded|anniversary|bonus|album|lp|ep|single|radio|explicit|clean|edited|edit|original|mono|stereo"
    r"|main|uncensored|censored|edition|reissued?"
)
_BESIDE = re.compile(
    r"version|ver|versao|mix|tracks?|digital(?:ly)?|new|full|length|u|uk|us|usa|the|special|super|platinum|collectors?|bit"
    r"|official|en|short|soundtrack|video|s|7|45|inch"
)
_DATE = re.compile(r"(?:19|20)\d\d|\d+(?:st|nd|rd|th)")
# A mix is an edition only if it is the one that the song came out with, or the same tapes mixed anew: "2018 Mix".
_MIXED_FOR = frozenset(("original", "radio", "single", "album", "stereo", "mono", "main", "anniversary"))
_OF_A_SINGLE = re.compile(r"(?:7|45)( inch)?( single)? (?:version|inch)")
# Recordings of their own, whatever else stands beside these words.
_OTHER = re.compile(
    r"\b(?:live|acoustic|remix(?:ed)?|instrumental|demo|sessions?|karaoke|acapella|unplugged|rehearsal|take|outtake|cover|dub"
    r"|extended|club|vip|sped|slowed|reprise|medley|commentary|vault|orchestra|philharmonic|strings|choir|vocals|lyrics"
    r"|background|intro|outro|interlude|part|pt|mixed|mashup)\b"
)


@lru_cache(50_000)
def title_key(text: str) -> str:
    """Two spellings of one title give one key: case, accents, alphabet and punctuation do not count.

    >>> title_key("Beyoncé – Halo!") == title_key("BEYONCE Halo")
    True
    """
    plain = unidecode(unicodedata.normalize("NFKC", text)).casefold()
    key = _NOT_WORD.sub(" ", plain).strip()
    return key or unicodedata.normalize("NFKC", text).casefold().strip()


NOBODY: frozenset[str] = frozenset()


class Title(NamedTuple):
    """A title, read.

    Attributes:
        stem: what the titles of all releases of one recording have in common.
        guests: keys of the names that are billed in it.
        says_edition: whether it says which release of the recording it is.
    """

    stem: str
    guests: frozenset[str]
    says_edition: bool


@lru_cache(100_000)
def read_title(title: str) -> Title:
    """Part the stem from guests, films and editions: remasters, deluxe editions, radio edits.

    What is a recording of its own stays in the stem: live, acoustic, a remix.

    >>> read_title("Uptown Funk (feat. Bruno Mars) - Radio Edit")
    Title(stem='uptown funk', guests=frozenset({'bruno mars'}), says_edition=True)
    >>> read_title("Halo - Live; 2011 Remaster").stem, read_title("Halo [Live]").stem
    ('halo live', 'halo live')
    """
    if _PARTING.isdisjoint(title) and _GUESTS.search(title) is None:
        return Title(title_key(title), NOBODY, False)
    left_out: list[str] = []
    guests: list[str] = []
    text = title
    for _ in range(2):  # brackets within brackets
        text = _BRACKETED.sub(lambda found: f" {_sorted_out(found[1], left_out, guests)} ", text)
    main, *after = _DASH.split(text)
    kept = [_without_guests(main, guests), *(_sorted_out(part, left_out, guests) for part in after)]
    stem = title_key(" ".join(kept)) or title_key(title)
    return Title(stem, frozenset(guests), any(map(_names_edition, left_out)))


def names_in(text: str) -> list[str]:
    """Keys of the names in a text that bills several.

    >>> names_in("Nio Garcia, J Balvin & Bad Bunny")
    ['nio garcia', 'j balvin', 'bad bunny']
    """
    return [title_key(name) for name in _BILLING.split(text) if name]


def guests_of(artist: str) -> list[str]:
    """Keys of the names that an artist's own name bills as guests: of "Sia Featuring Sean Paul", his."""
    found = _GUESTS.search(artist)
    return names_in(found[1]) if found else []


def _without_guests(part: str, guests: list[str]) -> str:
    found = _GUESTS.search(part)
    if found is None:
        return part
    guests += names_in(found[1])
    return part[: found.start()]


def _sorted_out(part: str, left_out: list[str], guests: list[str]) -> str:
    """What of a part of a title belongs to its stem; the rest is told apart into the lists."""
    kept = []
    for one in _LISTED.split(_without_guests(part, guests)):
        is_other = _OTHER.search(title_key(one)) is not None
        if not is_other and (billed := _BILLED.match(one)):
            guests += names_in(billed[1])
        elif not is_other and (_OF_A_FILM.match(one) or _names_edition(one)):
            left_out.append(one)
        else:
            kept.append(one)
    return " ".join(kept)


def _names_edition(part: str) -> bool:
    """Whether a part of a title says which release it is, rather than which recording."""
    key = title_key(part)
    words = key.split()
    undated = [word for word in words if not _DATE.fullmatch(word)]
    if not all(_TELLING.fullmatch(word) or _BESIDE.fullmatch(word) for word in undated):
        return False
    if "mix" in words:
        return not _MIXED_FOR.isdisjoint(words) or (undated == ["mix"] and len(words) > 1)
    return any(map(_TELLING.fullmatch, words)) or _OF_A_SINGLE.fullmatch(key) is not None
