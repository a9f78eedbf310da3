"""Text as the words that it is searched by: the same for every spelling of case, accents, width and alphabet."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from unidecode import unidecode

# What is looked at of a text, and how many words of it count.
LONGEST_TEXT = 300
WORDS_MAX = 40
LONGEST_KEY = 64

_WORD = re.compile(r"[a-z0-9]+")
_SILENT = re.compile(r"['`]")
# What stands for a letter inside a name: Ke$ha, Ty Dolla $ign, P!nk.
_DOLLAR, _BANG, _AND = re.compile(r"\$(?=[a-z])"), re.compile(r"(?<=[a-z])!(?=[a-z])"), re.compile(r"[&+]")
_SIGNED = re.compile(r"[$!&+]")
_INSIDE = re.compile(r"[a-z0-9][^a-z0-9\s]+[a-z0-9]")
_ASIDE = re.compile(r"[\(\[（【]|\s[-–—~]\s")
_BRACKETS, _DASH = re.compile(r"[\(\[（【][^\)\]）】]*[\)\]）】]"), re.compile(r"\s[-–—~]\s.*$")


@lru_cache(20_000)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, of a-z and 0-9, in order.

    Other alphabets are transliterated; a text of signs alone becomes one word a sign.

    >>> words_of("Beyoncé – Don’t Hurt Yourself (feat. Jack White)")
    ('beyonce', 'dont', 'hurt', 'yourself', 'feat', 'jack', 'white')
    >>> words_of("晴天"), words_of("A$AP & P!nk!"), words_of("÷ +")
    (('qing', 'tian'), ('asap', 'and', 'pink'), ('and',))
    """
    return tuple(_words(_plain(text))) or _signs(text)


def key_of(text: str) -> str:
    """All words of a text as one.

    >>> key_of("The Weeknd"), key_of("Blink-182")
    ('theweeknd', 'blink182')
    """
    return "".join(words_of(text))[:LONGEST_KEY]


def tokens_of(text: str, sign: str) -> tuple[str, ...]:
    """What a text is found by: its words, those written with signs inside also as one, and `sign` with its key.

    >>> tokens_of("Back in AC/DC", "=")
    ('back', 'in', 'ac', 'dc', 'acdc', '=backinacdc')
    """
    plain = _plain(text)
    words = _words(plain) or list(_signs(text))
    if _INSIDE.search(plain):
        parts = (_WORD.findall(chunk) for chunk in plain.split())
        return (*words, *("".join(some) for some in parts if len(some) > 1), (sign + "".join(words))[: LONGEST_KEY + 1])
    return (*words, (sign + "".join(words))[: LONGEST_KEY + 1])


def forms(title: str) -> tuple[str, ...]:
    """A title, then without what follows a dash, then without what stands in brackets either, as far as they differ.

    >>> forms("Sweet Dreams (Are Made of This) - Remastered")
    ('Sweet Dreams (Are Made of This) - Remastered', 'Sweet Dreams (Are Made of This)', 'Sweet Dreams')
    >>> forms("(Untitled)")
    ('(Untitled)',)
    """
    if not _ASIDE.search(title):
        return (title,)
    undashed = _DASH.sub("", title)
    bare = _BRACKETS.sub(" ", undashed).strip()
    return (title,) if bare == title else tuple(dict.fromkeys(form for form in (title, undashed, bare) if form))


def _plain(text: str) -> str:
    plain = text[:LONGEST_TEXT]
    if not plain.isascii():
        plain = unidecode(unicodedata.normalize("NFKC", plain))
    plain = _SILENT.sub("", plain.lower())
    if _SIGNED.search(plain):
        plain = _AND.sub(" and ", _BANG.sub("i", _DOLLAR.sub("s", plain)))
    return plain


def _words(plain: str) -> list[str]:
    words = _WORD.findall(plain)[:WORDS_MAX]
    # Guns N' Roses, Rock 'n' Roll.
    return ["and" if word == "n" else word for word in words] if "n" in words else words


def _signs(text: str) -> tuple[str, ...]:
    signs = unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).split()
    return tuple(f"u{ord(sign):x}" for sign in "".join(signs)[:WORDS_MAX])
