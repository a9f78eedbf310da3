from __future__ import annotations

from pathlib import Path

import pytest

from recall.errors import WordsContradict
from recall.lexicon import SOUNDS, Target, decade, understand
from recall.tracks import CataloguedTrack
from tests.brute_texts import BruteTexts
from topics.records import Features, Filters

GENRES = ("synthpop", "german synthpop", "modern rock", "rock", "hip hop", "death metal", "indie folk", "folk")
TEXTS = BruteTexts([CataloguedTrack(track_id=f"t{at}", title="T", genres=(name,)) for at, name in enumerate(GENRES)])


def asked(text: str) -> Target:
    target = understand(text, TEXTS)
    assert target is not None
    return target


def test_each_words_range_narrows_the_others() -> None:
    assert asked("calm acoustic evening").features == {"energy": (0.0, 0.45), "acousticness": (0.6, 1.0)}
    fast = asked("fast angry guitars")
    assert fast.features == {"tempo": (130.0, 220.0), "energy": (0.75, 1.0), "valence": (0.0, 0.55)}


def test_genres_are_those_of_the_catalogue_the_exact_name_first() -> None:
    assert asked("80s synthpop for running").genres == ("synthpop", "german synthpop")
    assert asked("synth-pop").genres == ("synthpop",)
    assert asked("rock").genres == ("rock", "modern rock")
    assert asked("hip-hop beats").genres == ("hip hop",)
    assert asked("folk").genres == ("folk", "indie folk")


def test_instruments_suggest_genres_that_the_catalogue_has() -> None:
    assert set(asked("fast angry guitars").genres) == {"rock", "modern rock"}


def test_decades_and_years() -> None:
    assert asked("80s synthpop for running").years == (1980, 1989)
    assert asked("rock 1999").years == (1999, 1999)
    assert asked("rock from the 60s and 70s").years == (1960, 1979)
    assert decade("00s") == (2000, 2009)
    assert decade("2010s") == (2010, 2019)
    assert decade("1815") is None


def test_words_that_are_not_understood_are_told_and_too_many_are_no_words() -> None:
    assert asked("calm acoustic zanzibar").ignored == ("zanzibar",)
    assert understand("zanzibar timbuktu calm", TEXTS) is None
    assert understand("for the songs", TEXTS) is None
    assert understand("", TEXTS) is None


def test_words_that_no_track_can_meet_at_once_are_refused_by_name() -> None:
    with pytest.raises(WordsContradict, match=r"'calm' \(energy 0 to 0.45\) and 'angry' \(0.75 to 1\)"):
        understand("calm angry rock", TEXTS)


def test_request_keeps_its_own_filters_and_gets_the_rest() -> None:
    own = Filters(features={"energy": (0.4, 0.5)}, market="SE", released_from="2020")
    filters = asked("calm acoustic 80s synthpop").narrow(own)
    assert filters.features == {"energy": (0.4, 0.5), "acousticness": (0.6, 1.0)}
    assert (filters.market, filters.released_from, filters.released_to) == ("SE", "2020", None)
    assert filters.genres_any == ("synthpop", "german synthpop")
    plain = asked("80s synthpop").narrow(None)
    assert (plain.released_from, plain.released_to, plain.features) == ("1980", "1989", None)


def test_ranges_widen_before_they_go() -> None:
    ranges = [one.features for one in asked("calm synthpop").widened()]
    assert ranges == [{"energy": (0.0, 0.45)}, {"energy": (0.0, 0.6)}, {}]
    assert [one.features for one in asked("fast").widened()] == [{"tempo": (130.0, 220.0)}, {"tempo": (115.0, 235.0)}]


def test_every_word_is_one_that_texts_become_and_stands_once() -> None:
    words = [word for line in SOUNDS for word in line.split()]
    assert len(words) == len(set(words))
    for meaning in SOUNDS.values():
        Filters(features=dict(meaning.features))
        assert all(0 <= low < high for low, high in meaning.features.values())
        assert set(meaning.features) <= set(Features.__struct_fields__)


def test_document_lists_every_word_with_what_it_asks_for() -> None:
    document = (Path(__file__).parents[3] / "docs" / "words.md").read_text()
    for words, meaning in SOUNDS.items():
        asks = [f"{name} {low:g} to {high:g}" for name, (low, high) in meaning.features.items()]
        asks += [f"genres: {', '.join(meaning.genres)}"] if meaning.genres else []
        assert f"| {', '.join(words.split())} | {'; '.join(asks)} |\n" in document
