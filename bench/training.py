"""Every model trained anew on the shared data, one after the other, files read and held-out artists measured with it.

python -m bench.training
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.harness import DATA, report
from models.embeat_mlp import load_checkpoint
from streams.collaborating import tables_from
from streams.labelled import read_catalogue
from streams.refreshing import SEED

TRACKS, PLAYLISTS, ARTISTS = (DATA / name for name in ("tracks.csv.gz", "playlists.csv.gz", "artist_genres.json.gz"))
MEGABYTE = 1e6


def command(name: str, *arguments: str | Path) -> None:
    """Run `throughbeat train` as its user would."""
    told = [sys.executable, "-m", "streams.cli", "train", name, *map(str, arguments)]
    subprocess.run(told, check=True, stdout=subprocess.DEVNULL)


def collaborative(checkpoint: Path) -> None:
    """Factors, neighbours, bridge and prior, which `train collaborative` learns from the log of an installation."""
    catalogue = read_catalogue(TRACKS, PLAYLISTS, ARTISTS)
    tables_from(catalogue.tracks, catalogue.lists, load_checkpoint(checkpoint), seed=SEED, manifest={})


def main() -> None:
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        weights, vectors = Path(place, "embeat.safetensors"), Path(place, "track2vec.safetensors")
        files = ("--tracks", TRACKS, "--playlists", PLAYLISTS, "--artists", ARTISTS)
        parts: dict[str, Callable[[], None]] = {
            "embeat_mlp": lambda: command("embeat-mlp", *files, "--out", weights),
            "track2vec": lambda: command("track2vec", "--playlists", PLAYLISTS, "--out", vectors),
            "collaborative": lambda: collaborative(weights),
        }
        for name, train in parts.items():
            began = time.perf_counter()
            train()
            seconds[name] = round(time.perf_counter() - began, 1)
    children, own = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    report(
        "training",
        {
            "seconds": seconds,
            "all_s": round(sum(seconds.values()), 1),
            "peak_memory_mb": round(max(children, own) * 1024 / MEGABYTE),
        },
    )


if __name__ == "__main__":
    main()
