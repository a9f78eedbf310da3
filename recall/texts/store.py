"""Titles and names on disk: one SQLite file, in which every track is found by its words.

Each track is one document of a full-text index: the words of its title and names, and as words of their own, marked by
a sign, the whole title (`=`) and each whole name (`@`).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from recall.errors import IndexUnavailable
from recall.texts.matches import Entry
from recall.texts.words import LONGEST_TEXT, forms, key_of, tokens_of, words_of
from recall.tracks import CataloguedTrack

# A change of how texts become words, or of the tables, is a new version: the file is then made anew.
VERSION = 1
NAMES_MAX = 20
TITLE, NAME = "=", "@"
# Tracks among which the most popular are looked for; more hold only words that say nothing.
MATCHED_MAX = 4_000
_BUSY_S = 10.0
_APART = "\x1f"
# SQLite's texts end at a NUL, which an id may hold.
_NUL, _STANDS_FOR_NUL = "\0", "\ue000"
_MARKS = re.compile(r"[\x00\x1f]")

_TABLES = """
CREATE TABLE IF NOT EXISTS tracks(
    id INTEGER PRIMARY KEY AUTOINCREMENT, track_id TEXT NOT NULL UNIQUE, title TEXT, names TEXT, artist_ids TEXT,
    popularity REAL, stamp INTEGER, doc TEXT);
CREATE TABLE IF NOT EXISTS file(identity TEXT NOT NULL);
INSERT INTO file SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM file);
CREATE TABLE IF NOT EXISTS genres(name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    doc, content='tracks', content_rowid='id', detail='none', columnsize=0, tokenize="ascii tokenchars '=@'");
CREATE VIRTUAL TABLE IF NOT EXISTS vocabulary USING fts5vocab('words', 'row');
"""
_STORED = "SELECT track_id, stamp, title, names, artist_ids, popularity FROM tracks WHERE track_id IN ({})"
_GIVEN = "SELECT value FROM json_each(?)"
_INSERT = """
INSERT INTO tracks(track_id, title, names, artist_ids, popularity, stamp, doc)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(?)
"""
_FIND = """
SELECT track_id, title, names, artist_ids, popularity FROM tracks
WHERE id IN (SELECT rowid FROM words WHERE words MATCH ? LIMIT ?) ORDER BY popularity DESC, track_id LIMIT ?
"""


class Row(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A track as it is stored."""

    track_id: str
    title: str
    names: str
    artist_ids: str
    popularity: float
    stamp: int
    doc: str

    def says_what(self, stored: tuple[Any, ...]) -> bool:
        """Whether what is stored (stamp and all that is shown) is the same."""
        return stored == (self.stamp, self.title, self.names, self.artist_ids, self.popularity)


def row_of(track: CataloguedTrack) -> Row:
    """What is kept of a track; very long texts by their beginnings."""
    names, artist_ids = [], []
    for artist in track.artists[:NAMES_MAX]:
        if artist.name:
            names.append(_clean(artist.name))
            artist_ids.append(artist.artist_id if artist.artist_id and not _MARKS.search(artist.artist_id) else "")
    title = _clean(track.title)
    return Row(
        track.track_id.replace(_NUL, _STANDS_FOR_NUL),
        title,
        _APART.join(names),
        _APART.join(artist_ids),
        float(track.popularity or 0.0),
        track.updated_at_ms,
        " ".join(found_by(title, names)),
    )


def found_by(title: str, names: Sequence[str]) -> list[str]:
    """What a track is found by, each once."""
    tokens = dict.fromkeys(tokens_of(title, TITLE))
    for form in forms(title)[1:]:
        tokens[TITLE + key_of(form)] = None
    for name in names:
        tokens.update(_name_tokens(name))
    return list(tokens)


@lru_cache(20_000)
def _name_tokens(name: str) -> dict[str, None]:
    return dict.fromkeys((*tokens_of(name, NAME), *(NAME + word for word in words_of(name)[1:][-1:])))


def _clean(text: str) -> str:
    return _MARKS.sub(" ", text[:LONGEST_TEXT]) if len(text) > LONGEST_TEXT or _MARKS.search(text) else text


class TextStore:
    """One file with one owner. Reads and writes have a connection each, so that a write holds up no answer."""

    def __init__(self, reader: sqlite3.Connection, writer: sqlite3.Connection) -> None:
        """Use `open`."""
        self._reader = reader
        self._writer = writer

    @classmethod
    def open(cls, path: Path) -> TextStore:
        """The file's tables; a file that is damaged or of another version is made anew, empty.

        Raises:
            IndexUnavailable: it cannot be written there.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with _answering(path):
            if path.exists() and not _is_usable(path):
                for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                    path.with_name(name).unlink(missing_ok=True)
            writer = _connect(path)
            writer.executescript(f"{_TABLES} PRAGMA user_version = {VERSION};")
            return cls(_connect(path), writer)

    def put(self, rows: Sequence[tuple[Row, bool]], *, only_new: bool = False) -> None:
        """Store rows, each over an equal or older stamp, or over any where it says so; in one transaction.

        Nothing in here holds the interpreter for more than a moment, whatever the number of rows. `only_new` leaves
        tracks that are there as they are.
        """
        with _answering(self._writer), self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            given = _ids(row.track_id for row, _ in rows)
            stored = {found[0]: found[1:] for found in self._writer.execute(_STORED.format(_GIVEN), (given,))}
            new = [row for row, _ in rows if row.track_id not in stored]
            newer = [
                row for row, forced in rows if row.track_id in stored and _applies(row, forced, stored[row.track_id])
            ]
            changed = new if only_new else new + newer
            self._delete([row.track_id for row in changed if row.track_id in stored])
            (last,) = self._writer.execute("SELECT coalesce(max(id), 0) FROM tracks").fetchone()
            self._writer.execute(_INSERT, (msgspec.json.encode(changed).decode(),))
            self._writer.execute(
                "INSERT INTO words(rowid, doc) SELECT id, doc FROM tracks WHERE id > ? ORDER BY id", (last,)
            )

    def put_genres(self, genres: Iterable[str]) -> None:
        """Remember names of genres."""
        with _answering(self._writer), self._writer:
            self._writer.execute(f"INSERT OR IGNORE INTO genres {_GIVEN}", (_ids(genres),))

    def withdraw(self, track_ids: Sequence[str]) -> None:
        """Forget tracks; an unknown id is no error."""
        with _answering(self._writer), self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._delete(track_ids)

    def _delete(self, track_ids: Sequence[str]) -> None:
        if not track_ids:
            return
        given = _ids(track_ids)
        # The engine takes a document out by being told its words again.
        self._writer.execute(
            "INSERT INTO words(words, rowid, doc) SELECT 'delete', id, doc FROM tracks "
            f"WHERE track_id IN ({_GIVEN}) ORDER BY id",
            (given,),
        )
        self._writer.execute(f"DELETE FROM tracks WHERE track_id IN ({_GIVEN})", (given,))

    def find(self, groups: Sequence[Sequence[str]], limit: int) -> list[Entry]:
        """Tracks that hold a token of each group, the most popular first."""
        if not groups or not all(groups):
            return []
        asked = " AND ".join("(" + " OR ".join(f'"{token}"' for token in group) + ")" for group in groups)
        with _answering(self._reader):
            found = self._reader.execute(_FIND, (asked, MATCHED_MAX, limit)).fetchall()
        return [
            Entry(
                track_id.replace(_STANDS_FOR_NUL, _NUL),
                title,
                _split(names),
                _split_like(names, artist_ids),
                popularity,
            )
            for track_id, title, names, artist_ids, popularity in found
        ]

    def vocabulary(self) -> Iterator[tuple[str, int]]:
        """Every token, and how many tracks hold it."""
        with _answering(self._reader):
            yield from self._reader.execute("SELECT term, doc FROM vocabulary")

    def identity(self) -> str:
        """A name that this file alone has, drawn when it was made."""
        with _answering(self._reader):
            (name,) = self._reader.execute("SELECT identity FROM file").fetchone()
        return str(name)

    def genres(self) -> list[str]:
        """Every genre that a track has had."""
        with _answering(self._reader):
            return [name for (name,) in self._reader.execute("SELECT name FROM genres")]

    def count(self) -> int:
        """How many tracks there are."""
        with _answering(self._reader):
            (number,) = self._reader.execute("SELECT count(*) FROM tracks").fetchone()
        return int(number)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._writer.close()


def _applies(row: Row, forced: bool, stored: tuple[Any, ...]) -> bool:
    return (forced or row.stamp >= stored[0]) and not row.says_what(stored)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    # Killed, the process loses nothing that was committed; a power loss may take the last writes, never the rest.
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000;")
    return connection


def _is_usable(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute("SELECT count(*) FROM tracks WHERE id < 10").fetchone()
    except sqlite3.DatabaseError:
        return False
    return bool(version == VERSION)


@contextmanager
def _answering(what: object) -> Iterator[None]:
    """Raises IndexUnavailable when SQLite does not do what it is asked."""
    try:
        yield
    except sqlite3.Error as error:
        raise IndexUnavailable(f"the index of titles did not answer: {error}") from error


def _ids(values: Iterable[str]) -> str:
    return msgspec.json.encode([value.replace(_NUL, _STANDS_FOR_NUL) for value in values]).decode()


def _split(joined: str) -> tuple[str, ...]:
    return tuple(joined.split(_APART)) if joined else ()


def _split_like(names: str, artist_ids: str) -> tuple[str, ...]:
    return tuple(artist_ids.split(_APART)) if names else ()
