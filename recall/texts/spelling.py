"""Words that are spelled nearly alike, found by the three-letter pieces that they share."""

from __future__ import annotations

from array import array

import numpy as np
from rapidfuzz.distance import OSA

# Of the words that share most pieces, so many are compared letter by letter.
COMPARED = 60
# A piece that more words share tells too little to be worth its time.
COMMON_PIECE = 40_000


class Spelling:
    """A growing vocabulary with how many texts hold each word."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._words: list[str] = []
        self._by_piece: dict[str, array[int]] = {}

    def add(self, word: str, count: int) -> None:
        """So many more texts hold the word."""
        if word in self.counts:
            self.counts[word] += count
            return
        self.counts[word] = count
        number = len(self._words)
        self._words.append(word)
        for piece in pieces(word):
            if (members := self._by_piece.get(piece)) is None:
                self._by_piece[piece] = array("I", (number,))
            else:
                members.append(number)

    def near(self, word: str, most: int) -> list[str]:
        """Other words that a slip of the finger may have made this one of, the nearest and then the commonest first."""
        allowed = slips(word)
        found = []
        for other in self._alike(word):
            distance = OSA.distance(word, other, score_cutoff=allowed)
            if distance <= allowed and other != word:
                found.append((distance, -self.counts[other], other))
        return [other for _, _, other in sorted(found)[:most]]

    def _alike(self, word: str) -> list[str]:
        lists = (self._by_piece.get(piece) for piece in pieces(word))
        shared = [np.frombuffer(some, np.uint32) for some in lists if some is not None and len(some) <= COMMON_PIECE]
        if not shared:
            return []
        numbers, times = np.unique(np.concatenate(shared), return_counts=True)
        best = np.argsort(-times, kind="stable")[:COMPARED]
        return [self._words[number] for number in numbers[best].tolist()]


def pieces(word: str) -> set[str]:
    """Runs of three letters, the ends of the word among them as signs.

    >>> sorted(pieces("abba"))
    ['$ab', 'abb', 'ba$', 'bba']
    """
    framed = f"${word}$"
    return {framed[at : at + 3] for at in range(len(framed) - 2)}


def slips(word: str) -> int:
    """How many letters may be wrong, missing, too many or exchanged in a word of this length.

    >>> [slips("a" * length) for length in (2, 3, 5, 6, 9, 10)]
    [0, 1, 1, 2, 2, 3]
    """
    return 0 if len(word) < 3 else 1 if len(word) < 6 else 2 if len(word) < 10 else 3
