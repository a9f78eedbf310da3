"""Titles and names by looking at every one of them: what the text index must come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recall.texts.matches import Entry, Found, best_matches, decide
from recall.texts.words import words_of
from recall.tracks import CataloguedTrack


class BruteTexts:
    def __init__(self, tracks: Iterable[CataloguedTrack]) -> None:
        self.tracks = list(tracks)
        self.entries = [
            Entry(
                track.track_id,
                track.title,
                tuple(artist.name or "" for artist in track.artists),
                tuple(artist.artist_id or "" for artist in track.artists),
                track.popularity or 0.0,
            )
            for track in self.tracks
        ]

    async def find(self, text: str) -> Found:
        return decide(best_matches(text, self.entries)) if words_of(text) else Found()

    def genres_named(self, words: Sequence[str]) -> tuple[str, ...]:
        named = {genre: words_of(genre) for track in self.tracks for genre in track.genres}
        exact = sorted(genre for genre, parts in named.items() if "".join(parts) == "".join(words))
        wider = [genre for genre, parts in named.items() if f" {' '.join(words)} " in f" {' '.join(parts)} "]
        return (*exact, *sorted(set(wider) - set(exact))) if exact else ()
