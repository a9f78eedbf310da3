"""What a text may mean, and how well each fits: arithmetic alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from rapidfuzz import fuzz

from recall.texts.words import LONGEST_TEXT, forms, words_of

# Percent of likeness from which a text means something, and below which it is not even near.
MEANT, NEAR = 82.0, 55.0
# Likenesses that differ by less are equal: then the most popular is meant.
EQUAL = 2.0
# What popularity is worth beside likeness: one of the best known may be misspelled by so many percent.
WORTH_OF_POPULAR = 12.0
# A live version, a remix or an edition that was not asked for.
ASIDE = 3.0
SURNAME = 5.0
TITLE_SHARE = 0.6
OTHERS_MAX = 3
TRACKS_OF_ARTIST = 10
_SPLIT = re.compile(r"\s+[-–—|/]\s+|\s*[–—]\s*|\s+by\s+", re.IGNORECASE)


class Entry(NamedTuple):
    """A track as the text index knows it; `artist_ids` go with `names`, empty where unknown."""

    track_id: str
    title: str
    names: tuple[str, ...]
    artist_ids: tuple[str, ...]
    popularity: float


@dataclass(frozen=True)
class Match:
    """A track or an artist that a text may mean.

    Attributes:
        track_ids: the track, or the artist's most popular tracks.
        likeness: percent.
        popularity: 0..100, of an artist that of the best known track.
    """

    kind: Literal["track", "artist"]
    track_ids: tuple[str, ...]
    label: str
    likeness: float
    popularity: float
    artist_id: str | None = None

    @property
    def score(self) -> float:
        """Likeness with popularity's share."""
        return self.likeness + WORTH_OF_POPULAR * self.popularity / 100


@dataclass(frozen=True)
class Found:
    """What a text means.

    Attributes:
        best: `None` when it means nothing that the catalogue holds.
        others: what else it may mean as well, or, without a best, what is near; the best fitting first.
    """

    best: Match | None = None
    others: tuple[Match, ...] = ()


class Texts(Protocol):
    """Titles and names of the catalogue."""

    async def find(self, text: str) -> Found:
        """What a free text means: `title - artist`, `artist - title`, a title, an artist, or words of both."""

    def genres_named(self, words: Sequence[str]) -> tuple[str, ...]:
        """The catalogue's genres that are called so, those called exactly so first."""


class Reading(NamedTuple):
    """One way to read a text: as a title and an artist, or as a whole."""

    title: str
    artist: str | None = None


def readings(text: str) -> list[Reading]:
    """The whole, then each way to split it into a title and an artist.

    >>> readings("晴天 - Jay Chou")
    [Reading(title='晴天 - Jay Chou', artist=None), Reading(title='晴天', artist='Jay Chou'), \
Reading(title='Jay Chou', artist='晴天')]
    """
    text = text[:LONGEST_TEXT].strip()
    found = [Reading(text)]
    for split in list(_SPLIT.finditer(text))[:3]:
        before, after = text[: split.start()].strip(), text[split.end() :].strip()
        if before and after:
            found += [Reading(before, after), Reading(after, before)]
    return found


def track_likeness(reading: Reading, entry: Entry) -> float:
    """How well a track fits a reading, in percent."""
    if reading.artist is not None:
        title = max(_title_likeness(reading.title, form) for form in _forms(entry.title))
        artist = max((_name_likeness(reading.artist, name) for name in entry.names), default=0.0)
        return 0.0 if min(title, artist) < NEAR else TITLE_SHARE * title + (1 - TITLE_SHARE) * artist
    names = " ".join(entry.names)
    return max(
        max(_title_likeness(reading.title, form), _both_likeness(reading.title, form.text, names) - form.less)
        for form in _forms(entry.title)
    )


def artist_likeness(text: str, name: str) -> float:
    """How well a name fits a text, in percent; its last word alone may stand for it."""
    whole, words = likeness(text, name), words_of(name)
    return max(whole, likeness(text, words[-1]) - SURNAME) if len(words) > 1 else whole


def best_matches(text: str, entries: Iterable[Entry]) -> list[Match]:
    """What the text may mean among these, the best first; one release of a song, and an artist once."""
    entries = sorted(set(entries), key=lambda entry: (-entry.popularity, entry.track_id))
    ways = readings(text)
    matches: dict[tuple[str, ...], Match] = {}
    for entry in entries:
        like = max(track_likeness(reading, entry) for reading in ways)
        match = Match("track", (entry.track_id,), _label(entry), like, entry.popularity)
        key = ("track", *words_of(forms(entry.title)[-1]), "", *(words_of(entry.names[0]) if entry.names else ()))
        if key not in matches or match.score > matches[key].score:
            matches[key] = match
    for match in _artists(ways[0].title, entries):
        matches["artist", match.label] = match
    return sorted(matches.values(), key=lambda match: (-match.score, match.kind, match.track_ids))


def decide(matches: Sequence[Match]) -> Found:
    """The best of matches that are sorted, if it is good enough; what fits the text as well is told."""
    meant = [match for match in matches if match.likeness >= MEANT]
    if not meant:
        return Found(None, tuple(match for match in matches if match.likeness >= NEAR)[:OTHERS_MAX])
    best = meant[0]
    others = [match for match in meant[1:] if match.likeness >= best.likeness - EQUAL]
    return Found(best, tuple(others)[:OTHERS_MAX])


def _artists(text: str, entries: Sequence[Entry]) -> list[Match]:
    """Artists called like the text, each with its tracks; the entries come most popular first."""
    likes: dict[tuple[str, ...], float] = {}
    tracks: dict[tuple[str, ...], list[Entry]] = {}
    named: dict[tuple[str, ...], str] = {}
    ids: dict[tuple[str, ...], str] = {}
    for entry in entries:
        for name, artist_id in zip(entry.names, entry.artist_ids, strict=True):
            key = words_of(name)
            if key not in likes:
                likes[key], named[key] = artist_likeness(text, name), name
            if likes[key] >= NEAR:
                tracks.setdefault(key, []).append(entry)
                if artist_id:
                    ids.setdefault(key, artist_id)
    return [
        Match(
            "artist",
            tuple(entry.track_id for entry in some[:TRACKS_OF_ARTIST]),
            named[key],
            likes[key],
            some[0].popularity,
            ids.get(key),
        )
        for key, some in tracks.items()
    ]


class _Form(NamedTuple):
    """A title as it may be typed, and how much less that fits."""

    text: str
    less: float


@lru_cache(5_000)
def _forms(title: str) -> tuple[_Form, ...]:
    return tuple(_Form(text, ASIDE if at else 0.0) for at, text in enumerate(forms(title)))


def _title_likeness(text: str, form: _Form) -> float:
    return likeness(text, form.text) - form.less


def _name_likeness(text: str, name: str) -> float:
    """A name may be one of several that the source has joined."""
    return max(likeness(text, name), fuzz.token_set_ratio(" ".join(words_of(text)), " ".join(words_of(name))) - EQUAL)


def _both_likeness(text: str, title: str, names: str) -> float:
    wanted, first, last = words_of(text), words_of(title), words_of(names)
    if not last or len(wanted) < 2:
        return 0.0
    # A point less than a title that is all of the text.
    return max(_ratio(wanted, (*first, *last)), _ratio(wanted, (*last, *first))) - 1


def likeness(one: str, other: str) -> float:
    """How alike two texts are in percent; the same signs a little more than the same sounds."""
    percent = _ratio(words_of(one), words_of(other))
    return percent if percent < 100 or one.isascii() or _raw(one) == _raw(other) else percent - 1


def _ratio(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    spaced = fuzz.ratio(" ".join(one), " ".join(other))
    return spaced if spaced == 100 else max(spaced, fuzz.ratio("".join(one), "".join(other)))


def _raw(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _label(entry: Entry) -> str:
    title = entry.title[:100]
    return f"{title} by {', '.join(entry.names)[:100]}" if entry.names else title
