"""Words for a mood or a sound, as what they ask of a track: ranges of features, genres, years.

The words and their ranges are listed in docs/words.md, which a test holds to this file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from recall.errors import WordsContradict
from recall.texts.matches import Texts
from recall.texts.words import words_of
from topics.records import Filters

Range = tuple[float, float]
# Of the genres whose names hold a word, the first.
GENRES_MAX = 40
LONGEST_NAME = 4
WIDER, WIDER_BPM = 0.15, 15.0


@dataclass(frozen=True)
class Meaning:
    """What a word asks for.

    Attributes:
        features: feature -> inclusive range.
        genres: names of genres; those of the catalogue that hold one of them count.
    """

    features: Mapping[str, Range] = field(default_factory=dict)
    genres: tuple[str, ...] = ()


SOUNDS: Mapping[str, Meaning] = {
    "calm quiet soft gentle mellow chill chilled chillout relaxed relaxing peaceful soothing tranquil": Meaning(
        {"energy": (0.0, 0.45)}
    ),
    "sleep sleepy bedtime lullaby": Meaning({"energy": (0.0, 0.3), "acousticness": (0.4, 1.0)}),
    "study studying focus concentration reading": Meaning({"energy": (0.0, 0.6), "instrumentalness": (0.3, 1.0)}),
    "meditation meditative yoga spa": Meaning({"energy": (0.0, 0.35), "instrumentalness": (0.3, 1.0)}),
    "energetic energizing powerful intense loud pumping heavy": Meaning({"energy": (0.7, 1.0)}),
    "angry anger aggressive furious rage raging": Meaning({"energy": (0.75, 1.0), "valence": (0.0, 0.55)}),
    "fast quick uptempo speedy": Meaning({"tempo": (130.0, 220.0)}),
    "slow downtempo": Meaning({"tempo": (40.0, 95.0)}),
    "happy cheerful joyful uplifting sunny upbeat feelgood": Meaning({"valence": (0.6, 1.0)}),
    "sad melancholic melancholy gloomy heartbroken depressing tearful": Meaning({"valence": (0.0, 0.35)}),
    "dark moody brooding": Meaning({"valence": (0.0, 0.4)}),
    "dreamy ethereal": Meaning({"energy": (0.0, 0.6), "valence": (0.0, 0.6)}),
    "romantic dinner date": Meaning({"energy": (0.0, 0.6), "valence": (0.25, 1.0)}),
    "danceable dancing party club": Meaning({"danceability": (0.65, 1.0), "energy": (0.55, 1.0)}),
    "groovy funky": Meaning({"danceability": (0.65, 1.0), "valence": (0.5, 1.0)}),
    "acoustic unplugged": Meaning({"acousticness": (0.6, 1.0)}),
    "electric amplified": Meaning({"acousticness": (0.0, 0.3)}),
    "instrumental wordless": Meaning({"instrumentalness": (0.5, 1.0)}),
    "vocal vocals singing sung": Meaning({"instrumentalness": (0.0, 0.2)}),
    "running run jogging workout gym training exercise": Meaning({"energy": (0.65, 1.0), "tempo": (120.0, 190.0)}),
    "walking walk": Meaning({"tempo": (90.0, 125.0)}),
    "driving roadtrip": Meaning({"energy": (0.5, 1.0)}),
    "morning": Meaning({"energy": (0.2, 0.75), "valence": (0.4, 1.0)}),
    "evening night late": Meaning({"energy": (0.0, 0.65)}),
    "rainy rain": Meaning({"energy": (0.0, 0.55), "valence": (0.0, 0.5)}),
    "summer beach": Meaning({"energy": (0.5, 1.0), "valence": (0.55, 1.0)}),
    "guitar guitars": Meaning(genres=("rock", "metal", "punk", "grunge", "guitar")),
    "piano pianos": Meaning(genres=("piano", "classical", "neo-classical")),
    "synth synths synthesizer": Meaning(genres=("synthpop", "synthwave", "electro", "new wave")),
    "orchestra orchestral strings symphonic": Meaning(genres=("orchestra", "classical", "soundtrack", "symphonic")),
    "beats": Meaning(genres=("hip hop", "beats", "electronica", "trip hop")),
    "oldies": Meaning(genres=("oldies", "rock-and-roll", "doo-wop", "motown")),
}
_FILLING = (
    "a an and at by for from i in like me mood moods music my of on playlist really some something song songs sound "
    "sounds that the this to track tracks tune tunes very vibe vibes while with"
)
SAYS_NOTHING = frozenset(_FILLING.split())
_BY_WORD = {word: meaning for words, meaning in SOUNDS.items() for word in words.split()}
_SPELLED_DECADES = {"fifties": 1950, "sixties": 1960, "seventies": 1970, "eighties": 1980, "nineties": 1990}
_DECADE, _YEAR = re.compile(r"(?:(19|20)?(\d)0)s"), re.compile(r"(19[2-9]\d|20[0-4]\d)")


@dataclass(frozen=True)
class Target:
    """What words ask for, all of it at once.

    Attributes:
        words: as they came.
        genres: names of the catalogue; a track has one of them.
        years: the first and the last.
        ignored: words that were not understood.
    """

    words: str
    features: Mapping[str, Range] = field(default_factory=dict)
    genres: tuple[str, ...] = ()
    years: tuple[int, int] | None = None
    ignored: tuple[str, ...] = ()

    def widened(self) -> Iterator[Target]:
        """Itself, then with wider and wider ranges, for when too few tracks are within."""
        yield self
        if self.features:
            wider = {name: _wider(name, limits) for name, limits in self.features.items()}
            yield Target(self.words, wider, self.genres, self.years, self.ignored)
            if self.genres or self.years:
                yield Target(self.words, {}, self.genres, self.years, self.ignored)

    def narrow(self, filters: Filters | None) -> Filters:
        """The filters of a request and this target at once; what a request says itself of a thing stands."""
        asked = filters or Filters()
        first, last = (str(year) for year in self.years) if self.years else (None, None)
        dated = asked.released_from is not None or asked.released_to is not None
        return Filters(
            genres_any=asked.genres_any or self.genres or None,
            genres_none=asked.genres_none,
            released_from=asked.released_from if dated else first,
            released_to=asked.released_to if dated else last,
            explicit=asked.explicit,
            market=asked.market,
            exclude_track_ids=asked.exclude_track_ids,
            exclude_heard_days=asked.exclude_heard_days,
            features={**self.features, **(asked.features or {})} or None,
        )


def together(targets: Sequence[Target], texts: Texts | None) -> Target | None:
    """What the words of several seeds ask for, all at once. Raises WordsContradict."""
    if len(targets) < 2 or texts is None:
        return targets[0] if targets else None
    return understand(", ".join(target.words for target in targets), texts)


def understand(text: str, texts: Texts) -> Target | None:
    """What a text asks for by words of the lexicon, names of the catalogue's genres and decades.

    Returns:
        `None` when less than half of the words that say something are understood.

    Raises:
        WordsContradict: no track can be all that it asks for.
    """
    words = words_of(text)
    found = list(_phrases(words, texts))
    ignored = tuple(phrase for phrase, meaning in found if meaning is None and phrase not in SAYS_NOTHING)
    told = [(phrase, meaning) for phrase, meaning in found if meaning is not None]
    if not told or len(ignored) > len(told):
        return None
    return Target(
        " ".join(text.split())[:100],
        _intersected(told),
        _genres_of([meaning for _, meaning in told], texts),
        _years_of(told),
        ignored,
    )


def _phrases(words: Sequence[str], texts: Texts) -> Iterator[tuple[str, Meaning | None]]:
    """The words, several together where they name a genre, each with what it asks for."""
    at = 0
    while at < len(words):
        for length in range(min(LONGEST_NAME, len(words) - at), 0, -1):
            part = words[at : at + length]
            if texts.genres_named(part) and not (length == 1 and part[0] in _BY_WORD):
                yield " ".join(part), Meaning(genres=(" ".join(part),))
                break
            if length == 1:
                yield part[0], _BY_WORD.get(part[0]) or (Meaning() if decade(part[0]) else None)
        else:
            length = 1
        at += length


def decade(word: str) -> tuple[int, int] | None:
    """The first and the last year that a word names.

    >>> decade("80s"), decade("2010s"), decade("1999"), decade("nineties"), decade("00s"), decade("rock")
    ((1980, 1989), (2010, 2019), (1999, 1999), (1990, 1999), (2000, 2009), None)
    """
    if word in _SPELLED_DECADES:
        return _SPELLED_DECADES[word], _SPELLED_DECADES[word] + 9
    if found := _DECADE.fullmatch(word):
        tens = int(found[2])
        first = int(found[1] or ("20" if tens < 3 else "19")) * 100 + tens * 10
        return first, first + 9
    return (int(word), int(word)) if _YEAR.fullmatch(word) else None


def _intersected(told: Sequence[tuple[str, Meaning]]) -> dict[str, Range]:
    limits: dict[str, Range] = {}
    said: dict[str, str] = {}
    for phrase, meaning in told:
        for name, (low, high) in meaning.features.items():
            before = limits.get(name, (low, high))
            limits[name] = max(before[0], low), min(before[1], high)
            if limits[name][0] > limits[name][1]:
                raise WordsContradict(
                    f"expected words that go together, got {said[name]!r} ({name} {before[0]:g} to {before[1]:g}) "
                    f"and {phrase!r} ({low:g} to {high:g})"
                )
            said[name] = phrase
    return limits


def _years_of(told: Sequence[tuple[str, Meaning]]) -> tuple[int, int] | None:
    years = [years for phrase, _ in told if (years := decade(phrase))]
    return (min(first for first, _ in years), max(last for _, last in years)) if years else None


def _genres_of(meanings: Sequence[Meaning], texts: Texts) -> tuple[str, ...]:
    """A genre that the text names goes before what its instruments suggest."""
    exact: dict[str, None] = {}
    wider: dict[str, None] = {}
    for meaning in sorted(meanings, key=lambda one: len(one.genres)):
        for name in meaning.genres:
            first, *rest = texts.genres_named(words_of(name)) or ("",)
            exact |= {first: None} if first else {}
            wider |= dict.fromkeys(rest)
    return tuple({**exact, **wider})[:GENRES_MAX]


def _wider(name: str, limits: Range) -> Range:
    low, high = limits
    if name == "tempo":
        return max(0.0, low - WIDER_BPM), min(300.0, high + WIDER_BPM)
    return max(0.0, round(low - WIDER, 2)), min(1.0, round(high + WIDER, 2))
