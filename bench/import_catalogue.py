"""The whole catalogue from files through Kafka until searchable, artists and tracks, and what it then takes in memory.

python -m bench.import_catalogue [--runs 3]
"""

from __future__ import annotations

import subprocess
import sys
import time

from bench.harness import DATA, Running, arguments, report, running, scratch, summary
from streams.up import environment_of, wait_until_searchable


def import_file(here: Running, kind: str, name: str) -> float:
    """Seconds that the import command took: until the broker holds all of it."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "streams.cli", "import", kind, str(DATA / name), "--restart"]
    subprocess.run(command, env=environment_of(here.settings), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def once() -> tuple[dict[str, float], dict[str, float]]:
    with scratch() as data_dir, running(data_dir) as here:
        artists_s = import_file(here, "artists", "artist_genres.json.gz")
        began = time.perf_counter()
        tracks_s = import_file(here, "tracks", "tracks.csv.gz")
        wait_until_searchable(here.settings)
        searchable_s = time.perf_counter() - began
        seconds = {"artists_sent_s": artists_s, "tracks_sent_s": tracks_s, "tracks_searchable_s": searchable_s}
        return seconds, here.resident_mb()


def main() -> None:
    options = arguments(__doc__, runs=3)
    runs = [once() for _ in range(options.runs)]
    figures = {name: summary([seconds[name] for seconds, _ in runs]) for name in runs[0][0]}
    report("import_catalogue", {**figures, "resident_mb": runs[-1][1]})


if __name__ == "__main__":
    main()
