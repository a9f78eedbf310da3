from __future__ import annotations

import pytest

from recall.texts.spelling import Spelling, slips
from recall.texts.words import LONGEST_KEY, WORDS_MAX, forms, key_of, tokens_of, words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Beyoncé", "BEYONCE"),
        ("Ke$ha", "kesha"),
        ("A$AP Rocky", "asap rocky"),
        ("P!nk", "pink"),
        ("Simon & Garfunkel", "simon and garfunkel"),
        ("Florence + The Machine", "florence and the machine"),
        ("Guns N' Roses", "guns and roses"),
        ("Don’t Stop Believin'", "dont stop believin"),
        ("ｈａｌｏ", "halo"),
        ("Кино", "kino"),
        ("Motörhead", "motorhead"),
        ("\u200fאהבה\u200f", "אהבה"),
        ("Cafe\u0301", "Café"),
    ],
)
def test_spellings_of_one_text_are_the_same_words(one: str, other: str) -> None:
    assert words_of(one) == words_of(other) != ()


def test_exclamation_mark_at_the_end_is_no_letter() -> None:
    assert words_of("Hey Ya!") == ("hey", "ya")


def test_each_sign_of_chinese_is_a_word() -> None:
    assert words_of("晴天") == ("qing", "tian")


def test_text_of_signs_alone_still_has_words_and_no_text_has_none() -> None:
    assert words_of("÷ - ×") == words_of("÷ – ×".replace("–", "-")) != ()
    assert words_of("♥") != words_of("♦")
    assert words_of("  ") == ()


def test_name_with_signs_inside_is_found_as_one_word_too() -> None:
    assert set(tokens_of("AC/DC", "@")) == {"ac", "dc", "acdc", "@acdc"}
    assert set(tokens_of("R.E.M.", "@")) == {"r", "e", "m", "rem", "@rem"}


def test_very_long_texts_are_looked_at_by_their_beginnings() -> None:
    assert len(words_of("word " * 10_000)) == WORDS_MAX
    assert len(key_of("x" * 10_000)) == LONGEST_KEY
    assert max(len(token) for token in tokens_of("word" * 2_500, "=")) <= 300


def test_forms_of_a_title_leave_out_what_is_aside() -> None:
    assert forms("Sweet Dreams (Are Made of This) - Remastered") == (
        "Sweet Dreams (Are Made of This) - Remastered",
        "Sweet Dreams (Are Made of This)",
        "Sweet Dreams",
    )
    assert forms("Halo") == ("Halo",)
    assert forms("(Untitled)") == ("(Untitled)",)


def vocabulary(**counts: int) -> Spelling:
    spelling = Spelling()
    for word, count in counts.items():
        spelling.add(word, count)
    return spelling


def test_slips_are_forgiven_by_length() -> None:
    spelling = vocabulary(metallica=9, metal=50, bjork=5, work=80, halo=7)
    assert spelling.near("metalica", 5) == ["metallica"]
    assert spelling.near("bjrok", 5) == ["bjork"]  # two letters exchanged are one slip
    assert spelling.near("hal", 5) == ["halo"]
    assert spelling.near("bj", 5) == []
    assert slips("ab") == 0


def test_nearest_comes_first_then_the_commonest_and_never_itself() -> None:
    spelling = vocabulary(heart=3, hearts=40, hearty=2, beart=90)
    assert spelling.near("heart", 3) == ["beart", "hearts", "hearty"]
    assert spelling.near("heartz", 2) == ["hearts", "heart"]
