"""Make the bundled sample from the full data folder: the CC0 part alone, with genres read off playlist names.

Usage: `python -m bench.make_sample DATA_FOLDER` (for maintainers, when the data or the lexicon change).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import re
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_DIR = Path(__file__).parents[1] / "streams" / "catalogue" / "sample"
CC0_PLAYLISTS = "tt:"

# TidyTuesday's 24 subgenres by genre, each with the spellings that count for it (after `plain`: lower case, no accents,
# `&` is "n", every other sign a blank). What was matched is taken out, so "latin hip hop" is not also "hip hop".
SUBGENRES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "pop": {
        "dance pop": ("dance pop", "pop dance"),
        "post-teen pop": ("post teen pop", "post pop teen"),
        "electropop": ("electropop", "electro pop", "eletric pop"),
        "indie poptimism": ("indie poptimism", "poptimism"),
    },
    "rap": {
        "southern hip hop": ("southern hip hop", "dirty south rap"),
        "gangster rap": ("gangster rap", "gangsta rap", "rap gangsta"),
        "hip hop": ("hip hop", "hiphop", "hip n hop"),
        "trap": ("trap", "trapperz"),
    },
    "rock": {
        "album rock": ("album rock",),
        "classic rock": ("classic rock", "rock classics"),
        "permanent wave": ("permanent wave",),
        "hard rock": ("hard rock", "rock hard"),
    },
    "latin": {
        "latin hip hop": ("latin hip hop", "latin rap", "chicano rap"),
        "latin pop": ("latin pop", "pop latino"),
        "reggaeton": ("reggaeton", "raggaeton", "reggeaton", "perreo"),
        "tropical": ("tropical",),
    },
    "r&b": {
        "urban contemporary": ("urban contemporary", "contemporary urban"),
        "hip pop": ("hip pop",),
        "new jack swing": ("new jack swing", "swingbeat"),
        "neo soul": ("neo soul",),
    },
    "edm": {
        "progressive electro house": ("progressive electro house", "electro progressive", "progressive house"),
        "electro house": ("electro house", "electrohouse", "house electro"),
        "big room": ("big room", "bigroom"),
        "pop edm": ("pop edm", "edm pop"),
    },
}
GENRES: Mapping[str, Sequence[str]] = {
    "pop": ("pop",),
    "rap": ("rap", "rapcaviar"),
    "rock": ("rock",),
    "latin": ("latin", "latino", "latina"),
    "r&b": ("r n b", "rnb"),
    "edm": ("edm", "tropical house", "tech house", "deep house"),
}
README = """# Sample catalogue

{tracks:,} tracks and {playlists} playlists ({rows:,} rows) of TidyTuesday's Spotify songs of 2020-01-21
(<https://github.com/rfordatascience/tidytuesday>), given to the public domain under CC0 1.0. Made by
`bench/make_sample.py`; do not edit. `throughbeat up --catalogue sample` imports it.

- `tracks.csv.gz`: facts about recordings, empty = unknown. `artist_id` ({artists_known:.0%} of the tracks) and
  `explicit` are facts that TidyTuesday does not hold and that were added by track id. `time_signature` is unknown
  throughout.
- `playlists.csv.gz`: `playlist_id,playlist_name,position,track_id`.

## Genres

The column `genres` (`;`-separated) is ours: the genres that the names of a track's playlists hold, those of most
playlists first. {genre_coverage:.1%} of the tracks have at least one. A name is compared in lower case, without
accents, emoji and punctuation, `&` as "n"; the longest spelling is taken first and counts once; a subgenre brings its
genre along.

{lexicon}
"""


def plain(name: str) -> str:
    """A playlist's name without case, accents, emoji and punctuation, words set apart by one blank."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w]+|_", " ", bare.replace("&", " n ")).split())


def spellings() -> list[tuple[str, tuple[str, ...]]]:
    """Every spelling with the genres that it stands for, longest first."""
    pairs: list[tuple[str, tuple[str, ...]]] = [(text, (genre,)) for genre, texts in GENRES.items() for text in texts]
    for genre, subgenres in SUBGENRES.items():
        pairs += [(text, (name, genre)) for name, texts in subgenres.items() for text in texts]
    return sorted(pairs, key=lambda pair: (-len(pair[0]), pair[0]))


def genres_of(name: str) -> list[str]:
    """The lexicon's genres in a playlist's name."""
    left, found = f" {plain(name)} ", dict[str, None]()
    for text, genres in spellings():
        if f" {text} " in left:
            left = left.replace(f" {text} ", " | ")
            found |= dict.fromkeys(genres)
    return list(found)


def read_rows(path: Path) -> list[dict[str, str]]:
    """A gzipped CSV file as dicts."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def track_genres(playlists: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Genres of each track, `;`-separated: those of most of its playlists first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    names: dict[str, list[str]] = {}
    for row in playlists:
        name = row["playlist_name"]
        counts[row["track_id"]].update(names.setdefault(name, genres_of(name)))
    return {
        track_id: ";".join(sorted(count, key=lambda genre: (-count[genre], genre)))
        for track_id, count in counts.items()
    }


def write_gzip(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> int:
    """Write a CSV file, byte for byte the same at every run; returns its size."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    packed = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS, 9)
    data = packed.compress(text.getvalue().encode()) + packed.flush()
    path.write_bytes(data)
    return len(data)


@dataclass(frozen=True)
class Sample:
    """What is bundled."""

    playlists: list[dict[str, str]]
    tracks: list[dict[str, str]]

    @property
    def genre_coverage(self) -> float:
        """Share of the tracks that have a genre."""
        return sum(bool(track["genres"]) for track in self.tracks) / len(self.tracks)


def sample_of(data: Path) -> Sample:
    """The CC0 playlists and their tracks; tracks of one artist and album together, where they compress best."""
    playlists = [row for row in read_rows(data / "playlists.csv.gz") if row["playlist_id"].startswith(CC0_PLAYLISTS)]
    genres = track_genres(playlists)
    tracks = [
        row | {"genres": genres[row["track_id"]]}
        for row in read_rows(data / "tracks.csv.gz")
        if row["track_id"] in genres
    ]
    tracks.sort(key=lambda row: (row["artist_name"], row["album_id"], row["track_id"]))
    return Sample(playlists, tracks)


def lexicon() -> str:
    """The lexicon as a table in Markdown."""
    lines = ["| genre | subgenre | spellings |", "| --- | --- | --- |"]
    for genre, texts in GENRES.items():
        lines.append(f"| {genre} | | {', '.join(texts)} |")
        lines += [f"| | {name} | {', '.join(spelt)} |" for name, spelt in SUBGENRES[genre].items()]
    return "\n".join(lines)


def readme(sample: Sample) -> str:
    """What the sample is and where it comes from."""
    artists_known = sum(bool(track["artist_id"]) for track in sample.tracks) / len(sample.tracks)
    return README.format(
        tracks=len(sample.tracks),
        playlists=len({row["playlist_id"] for row in sample.playlists}),
        rows=len(sample.playlists),
        artists_known=artists_known,
        genre_coverage=sample.genre_coverage,
        lexicon=lexicon(),
    )


def main(data: Path) -> None:
    """Write the sample and its README."""
    sample = sample_of(data)
    SAMPLE_DIR.mkdir(parents=True, exist_ok=True)
    sizes = {
        name: write_gzip(SAMPLE_DIR / f"{name}.csv.gz", list(rows[0]), rows)
        for name, rows in (("tracks", sample.tracks), ("playlists", sample.playlists))
    }
    (SAMPLE_DIR / "README.md").write_text(readme(sample), encoding="utf-8")
    print(json.dumps({"bytes": sizes, "tracks": len(sample.tracks), "genre_coverage": sample.genre_coverage}))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path, help="the folder with tracks.csv.gz and playlists.csv.gz")
    main(arguments.parse_args().data)
