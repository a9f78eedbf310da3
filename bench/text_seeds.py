"""The index of titles and names on the whole catalogue: what it adds to an import, how fast and how well it finds.

python -m bench.text_seeds [--runs 5]
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.harness import DATA, arguments, report, scratch, summary
from recall.texts import TextIndex
from recall.tracks import IndexedTrack
from streams.agents.catalogue import catalogued
from streams.importing.tracks import open_tracks
from streams.labelled import records_of
from streams.roles import CATALOGUE_PACE
from tests.text_queries import ARTISTS, TRACKS, misses
from topics.records import Track


def catalogue(path: Path = DATA / "tracks.csv.gz") -> list[IndexedTrack]:
    """Every track of the file that keeps the contract."""
    return [IndexedTrack(catalogued(one, {}, added_at_ms=0)) for one in records_of(open_tracks(path), Track)]


async def measure(runs: int, path: Path) -> dict[str, object]:
    tracks = catalogue()
    index = TextIndex.open(path)
    began, thread = time.perf_counter(), time.thread_time()
    for at in range(0, len(tracks), CATALOGUE_PACE.batch_max):
        await index.put(tracks[at : at + CATALOGUE_PACE.batch_max])
    put_s, of_loop_s = time.perf_counter() - began, time.thread_time() - thread
    await index.close()
    began = time.perf_counter()
    index = TextIndex.open(path)
    open_s = time.perf_counter() - began
    queries = [*TRACKS, *ARTISTS]
    took, found = [], {}
    for _ in range(runs):
        for query in queries:
            began = time.perf_counter()
            found[query] = await index.find(query)
            took.append((time.perf_counter() - began) * 1000)
    wrong = misses(found, [one.track for one in tracks])
    await index.close()
    return {
        "tracks": len(tracks),
        "put_us_per_track": round(put_s / len(tracks) * 1e6, 1),
        "of_it_on_the_event_loop_us": round(of_loop_s / len(tracks) * 1e6, 1),
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "open_s": round(open_s, 2),
        "find_ms": summary(took),
        "queries": len(queries),
        "hit_rate": round(1 - len(wrong) / len(queries), 3),
        "misses": wrong,
    }


def main() -> None:
    options = arguments(__doc__ or "", runs=5)
    with scratch() as folder:
        folder.mkdir(parents=True, exist_ok=True)
        report("text_seeds", asyncio.run(measure(options.runs, folder / "texts.sqlite3")))


if __name__ == "__main__":
    main()
