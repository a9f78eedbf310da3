"""Collaborative tables: how long they take to learn, what they weigh, how fast they answer, and what learning delays.

python -m bench.collaborative [--requests 400] [--alone 0]

With --alone 1 no stack is run: training, sizes and lookups alone.
"""

from __future__ import annotations

import resource
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.harness import DATA, arguments, report, running, scratch, summary
from models.collaborative import learn
from models.embeat_mlp import load_checkpoint
from models.holding import Holding
from models.prior import Prior, propose
from models.tables import Tables, load, save, sizes
from streams.collaborating import tables_from
from streams.giving_way import giving_way
from streams.labelled import read_catalogue
from streams.refreshing import SEED
from topics.client import Client
from topics.records import RecommendationRequest, Seed

HELD = (1, 5, 35)
CANDIDATES = 500
ASKED = 100


def milliseconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - began)


def lookups(tables: Tables, prior: Prior) -> dict[str, object]:
    """Of lists of several lengths: each way alone, and the prior on 500 candidates."""
    learned, rng = tables.learned, np.random.default_rng(SEED)
    found: dict[str, object] = {}
    for held in HELD:
        times: dict[str, list[float]] = {"by_artists": [], "by_neighbours": [], "by_factors": [], "prior": []}
        for _ in range(ASKED):
            rows = rng.choice(learned.listed, held, replace=False)
            somebody = Holding.of(learned, rows)
            for way in ("by_artists", "by_neighbours", "by_factors"):
                times[way].append(milliseconds(lambda way=way, one=somebody: getattr(one, way)(CANDIDATES)))  # type: ignore[misc]
            candidates = propose(somebody)[:CANDIDATES]
            items = learned.items.take(candidates)
            times["prior"].append(
                milliseconds(lambda one=somebody, rows=candidates, items=items: prior.scores(one, rows, items))  # type: ignore[misc]
            )
        found[f"{held} held, ms"] = {name: summary(values, 3) for name, values in times.items()}
    return found


def alone() -> dict[str, object]:
    """Learning from the shared data, and what comes of it."""
    catalogue = read_catalogue(DATA / "tracks.csv.gz", DATA / "playlists.csv.gz", DATA / "artist_genres.json.gz")
    model = load_checkpoint(None)
    began = time.perf_counter()
    made = tables_from(catalogue.tracks, catalogue.lists, model, seed=SEED, manifest={})
    trained_s = time.perf_counter() - began
    began = time.perf_counter()
    learn(
        made.learned.items,
        [made.learned.lists[at].indices.astype(np.int64) for at in range(made.learned.lists.shape[0])],
    )
    tables_s = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as place:
        save_ms = milliseconds(lambda: save(made, Path(place)))
        version = next(Path(place).glob("*.safetensors")).stem
        load_ms = milliseconds(lambda: load(Path(place), version))
    held = sizes(made)
    assert made.prior is not None
    return {
        "tracks": len(made.track_ids),
        "lists": made.learned.lists.shape[0],
        "training_s": {"all parts": round(trained_s, 1), "tables once": round(tables_s, 1)},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
        "file_mb": round(sum(held.values()) / 1e6, 1),
        "bytes_a_track": round(sum(held.values()) / len(made.track_ids)),
        "largest_mb": {name: round(held[name] / 1e6, 1) for name in sorted(held, key=lambda one: -held[one])[:6]},
        "save_ms": round(save_ms),
        "load_ms": round(load_ms),
        "lookups": lookups(made, made.prior),
    }


def answers(client: Client, track_ids: list[str], many: int, rng: np.random.Generator) -> list[float]:
    """Milliseconds of requests one after the other, each from three tracks."""
    took = []
    for _ in range(many):
        seeds = tuple(Seed(track_id=track_ids[at]) for at in rng.choice(len(track_ids), 3, replace=False))
        request = RecommendationRequest(request_id=uuid.uuid4().hex, seeds=seeds, deadline_ms=5_000)
        took.append(milliseconds(lambda request=request: client.ask(request, timeout_s=10)))  # type: ignore[misc]
    return took


def while_training(requests: int) -> dict[str, object]:
    """Answers of a running stack with the shared catalogue, at rest and while a child process learns."""
    import subprocess
    import sys

    catalogue = read_catalogue(DATA / "tracks.csv.gz", DATA / "playlists.csv.gz")
    ids = sorted({one for members in catalogue.lists for one in members})
    rng = np.random.default_rng(SEED)
    with scratch() as place, running(place, str(DATA), within_s=1_800) as stack, stack.client() as client:
        stack.wait_until_settled()
        command = [sys.executable, "-m", "streams.cli", "train", "collaborative", "--kafka", stack.settings.kafka_url]
        command += ["--data-dir", str(place)]
        first = subprocess.run(command, check=True, capture_output=True, text=True)
        answers(client, ids, 50, rng)
        before = answers(client, ids, requests, rng)
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        during: list[float] = []
        with giving_way(child.pid):
            while child.poll() is None:
                during += answers(client, ids, 10, rng)
        after = answers(client, ids, requests, rng)
        resident = stack.resident_mb()
    rest = [*before, *after]
    return {
        "train": first.stdout.strip(),
        "at_rest_ms": summary(rest),
        "while_training_ms": summary(during),
        "p99_ratio": round(float(np.percentile(during, 99) / np.percentile(rest, 99)), 2),
        "resident_mb": resident,
    }


def main() -> None:
    options = arguments(__doc__ or "", requests=400, alone=0)
    figures = alone()
    report("collaborative", figures if options.alone else {**figures, "answers": while_training(options.requests)})


if __name__ == "__main__":
    main()
