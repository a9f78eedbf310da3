"""The text index of one catalogue: written as tracks are indexed, asked when a request brings words."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from recall.index.points import latest_versions
from recall.texts.matches import Entry, Found, best_matches, decide, readings
from recall.texts.spelling import Spelling
from recall.texts.store import NAME, TITLE, TextStore, row_of
from recall.texts.words import key_of, words_of
from recall.tracks import IndexedTrack

# Tracks read of each question to the store.
READ = 40
SPELLINGS = 4
# A word of so few texts may be a misspelling itself.
RARE = 3
# Words beyond say nothing more about which track is meant.
ASKED_WORDS = 12
# Of the most telling words, so many are asked for alone when nothing else leads anywhere: what they find is near.
ALONE = 3
# A word that so many tracks hold is not asked for, unless it is all there is.
COMMON = 20_000


class TextIndex:
    """Titles and names, found in any order, alphabet and, within reason, spelling.

    Right after `put`, in the process that called it, a track is found; a write that is repeated changes nothing.
    """

    def __init__(self, store: TextStore) -> None:
        """Use `open`."""
        self._store = store
        self._writing = asyncio.Lock()
        self._words, self._names = Spelling(), Spelling()
        self._genres: dict[str, str] = {}
        self._genres_by_key: dict[str, list[str]] = {}
        for token, count in store.vocabulary():
            self._learn(token, count)
        self._learn_genres(store.genres())

    @classmethod
    def open(cls, path: Path) -> TextIndex:
        """The index in a file, made if it is new.

        Raises:
            IndexUnavailable: it cannot be written there.
        """
        return cls(TextStore.open(path))

    @property
    def identity(self) -> str:
        """A name that its file alone has, drawn when that was made."""
        return self._store.identity()

    async def put(self, tracks: Sequence[IndexedTrack], *, only_new: bool = False) -> None:
        """Make tracks findable before it returns; an older `updated_at_ms` never overwrites a newer one.

        `only_new` leaves tracks that are there as they are.

        Raises:
            IndexUnavailable: it is not known which are; put them again.
        """
        rows = [(row_of(version.stored.track), version.forced) for version in latest_versions(tracks)]
        async with self._writing:
            await asyncio.to_thread(self._store.put, rows, only_new=only_new)
        for token, count in Counter(" ".join([row.doc for row, _ in rows]).split()).items():
            self._learn(token, count)
        await self.put_genres(chain.from_iterable([one.track.genres for one in tracks]))

    async def put_genres(self, genres: Iterable[str]) -> None:
        """These are genres of the catalogue; one of no track any more does no harm. Raises IndexUnavailable."""
        if new := set(genres) - self._genres.keys():
            async with self._writing:
                await asyncio.to_thread(self._store.put_genres, new)
            self._learn_genres(sorted(new))

    async def withdraw(self, track_ids: Sequence[str]) -> None:
        """Forget tracks; an unknown id is no error. Raises IndexUnavailable."""
        async with self._writing:
            await asyncio.to_thread(self._store.withdraw, list(track_ids))

    async def find(self, text: str) -> Found:
        """What a free text means. Raises IndexUnavailable."""
        if not words_of(text):
            return Found()
        entries = {entry.track_id: entry for entry in self._called(text)}
        found = decide(best_matches(text, entries.values()))
        if found.best is not None and found.best.likeness >= 97:
            return found
        for groups in self._questions(words_of(text)[:ASKED_WORDS]):
            entries |= {entry.track_id: entry for entry in self._store.find(groups, READ)}
            found = decide(best_matches(text, entries.values()))
            if found.best is not None:
                break
        return found

    def genres_named(self, words: Sequence[str]) -> tuple[str, ...]:
        """The catalogue's genres that are called so, then those whose names hold these words; none if none is."""
        exact = self._genres_by_key.get("".join(words), [])
        if not exact:
            return ()
        phrases = {f" {' '.join(words)} ", *(self._genres[name] for name in exact)}
        others = ((name, spaced) for name, spaced in self._genres.items() if name not in exact)
        wider = (name for name, spaced in others if any(phrase in spaced for phrase in phrases))
        return (*sorted(exact), *sorted(wider))

    def count(self) -> int:
        """How many tracks are in it."""
        return self._store.count()

    async def close(self) -> None:
        """Let go of the file."""
        async with self._writing:
            self._store.close()

    def _called(self, text: str) -> Iterable[Entry]:
        """Tracks and artists that are called exactly so, and artists called nearly so."""
        for reading in readings(text):
            key = key_of(reading.title)
            if reading.artist is not None:
                names = [NAME + key_of(reading.artist), *(NAME + name for name in self._near_names(reading.artist))]
                yield from self._store.find([[TITLE + key], names], READ)
                continue
            yield from self._store.find([[TITLE + key]], READ)
            for name in (key, *self._near_names(reading.title)):
                yield from self._store.find([[NAME + name]], READ)

    def _near_names(self, text: str) -> list[str]:
        return self._names.near(key_of(text), SPELLINGS)

    def _questions(self, words: Sequence[str]) -> Iterator[list[list[str]]]:
        """Groups of words to ask for: all, in likely spellings, then in any; then without one; then one alone."""
        likely = [some for word in words if (some := self._spellings(word))]
        known = [some for some in likely if self._held(some) < COMMON] or likely
        if len(likely) == len(words):
            yield known
        wide = [some for word in words if (some := self._spellings(word, always=True)) and self._held(some) < COMMON]
        wide.sort(key=self._held)
        if wide != known:
            yield wide
        if len(wide) > 2:
            for left_out in reversed(wide):
                yield [some for some in wide if some is not left_out]
        for alone in wide[:ALONE]:
            yield [alone]

    def _spellings(self, word: str, *, always: bool = False) -> list[str]:
        count = self._words.counts.get(word, 0)
        near = self._words.near(word, SPELLINGS) if always or count < RARE else []
        return [word, *near] if count else near

    def _held(self, spellings: Sequence[str]) -> int:
        return sum(self._words.counts.get(word, 0) for word in spellings)

    def _learn(self, token: str, count: int) -> None:
        if token[0] == NAME:
            self._names.add(token[1:], count)
        elif token[0] != TITLE:
            self._words.add(token, count)

    def _learn_genres(self, names: Iterable[str]) -> None:
        for name in names:
            words = words_of(name)
            self._genres[name] = f" {' '.join(words)} "
            self._genres_by_key.setdefault("".join(words), []).append(name)
