"""Pairs of tracks that may be one recording, drawn from the whole catalogue to be judged by hand.

Each rule is a way to come upon such a pair that knows nothing of recall/titles.py and recall/duplicates.py: what it
draws is shuffled, and printed without a verdict. What a person made of them: tests/unit/recall/recordings.csv.

python -m bench.draw_pairs [--seed 20] [--percent 100] > pairs.csv
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np

from bench.harness import DATA, arguments

Row = dict[str, str]
Pair = tuple[Row, Row]
SHOWN = ("track_id", "title", "artist_name", "album_name", "release_date", "popularity", "duration_ms")
SOUND = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness", "liveness", "tempo")
# Tracks by one artist beyond these are a classical composer or "Various Artists", and would fill the file.
ARTIST_MAX = 400
SUFFIXES = ("remaster", "edit", "live", "remix", "acoustic", "feat", "version", "mono", "instrumental", "bonus", "from")


def grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> list[list[Row]]:
    found = defaultdict(list)
    for row in rows:
        if name := key(row):
            found[name].append(row)
    return [group for group in found.values() if len(group) > 1]


def artist_of(row: Row) -> str:
    return row["artist_id"] or row["artist_name"].casefold()


def seconds_apart(pair: Pair) -> float:
    return abs(float(pair[0]["duration_ms"] or 0) - float(pair[1]["duration_ms"] or 0)) / 1000


def of_an_artist(rows: list[Row], rng: np.random.Generator) -> Iterator[Pair]:
    """Two tracks of one artist with the titles in alphabetical order, so that likely pairs are neighbours."""
    for group in grouped(rows, artist_of):
        if len(group) <= ARTIST_MAX:
            group.sort(key=lambda row: (row["title"].casefold(), row["track_id"]))
            yield from pairwise(group)


def extended(pair: Pair) -> str:
    """What one title has after the whole of the other, `""` when it has not."""
    one, other = sorted((row["title"].casefold() for row in pair), key=len)
    rest = other[len(one) :].lstrip()
    return rest if other.startswith(one) and rest[:1] in "-([" else ""


def sounds_equal(rows: list[Row]) -> Iterator[Pair]:
    """Neighbours in the order of tempo that agree in every feature to a hundredth."""
    known = [row for row in rows if all(row[name] for name in SOUND)]
    known.sort(key=lambda row: (float(row["tempo"]), row["track_id"]))
    values = np.array([[float(row[name]) for name in SOUND] for row in known])
    for step in (1, 2, 3):
        gaps = np.abs(values[step:] - values[:-step])
        near = (gaps[:, :-1] < 0.01).all(axis=1) & (gaps[:, -1] < 0.2)
        yield from ((known[place], known[place + step]) for place in np.flatnonzero(near))


def rules(rows: list[Row], rng: np.random.Generator) -> dict[str, tuple[int, list[Pair]]]:
    """Name -> how many to draw, and of which."""
    neighbours = list(of_an_artist(rows, rng))
    equal = [pair for pair in neighbours if pair[0]["title"].casefold() == pair[1]["title"].casefold()]
    titled = [group for group in grouped(rows, lambda row: row["title"].casefold()) if len(group) < ARTIST_MAX]
    mixed = [tuple(group[i] for i in rng.permutation(len(group))[:2]) for group in titled]
    others = [(a, b) for a, b in mixed if artist_of(a) != artist_of(b)]
    found = {
        "same title, same artist, same length": (30, [pair for pair in equal if seconds_apart(pair) < 3]),
        "same title, same artist, other length": (30, [pair for pair in equal if seconds_apart(pair) > 5]),
        "same title, other artist": (15, others),
        "same title, other artist, same length": (20, [pair for pair in others if seconds_apart(pair) < 1.5]),
        "sounds equal": (40, list(sounds_equal(rows))),
        "titles begin alike": (20, [p for p in neighbours if _begin_alike(p)]),
    }
    rest = [pair for pair in neighbours if extended(pair)]
    for word in SUFFIXES:
        found[f"title and more: {word}"] = (12, [pair for pair in rest if word in extended(pair)])
    plain = [pair for pair in rest if not any(word in extended(pair) for word in SUFFIXES)]
    found["title and more: anything else"] = (25, plain)
    return found


def _begin_alike(pair: Pair) -> bool:
    one, other = (row["title"].casefold() for row in pair)
    return one != other and one.split()[:2] == other.split()[:2]


def main() -> None:
    options = arguments(__doc__, seed=20, percent=100)
    with gzip.open(DATA / "tracks.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(options.seed)
    drawn: dict[frozenset[str], tuple[str, Pair]] = {}
    for rule, (count, pairs) in rules(rows, rng).items():
        for place in rng.permutation(len(pairs))[: count * options.percent // 100]:
            pair = pairs[int(place)]
            drawn.setdefault(frozenset(row["track_id"] for row in pair), (rule, pair))
    writer = csv.writer(sys.stdout)
    writer.writerow(["rule", *(f"{side}_{name}" for side in "ab" for name in (*SHOWN, *SOUND))])
    for rule, pair in drawn.values():
        writer.writerow([rule, *(row[name] for row in pair for name in (*SHOWN, *SOUND))])


if __name__ == "__main__":
    main()
