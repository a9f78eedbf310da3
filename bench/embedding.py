"""Embedding: tracks a second in batches, and milliseconds of one alone, ours beside the published architecture.

python bench/embedding.py [--tracks 40960] [--batch 4096] [--runs 15] [--single 2000]
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import torch

from bench.harness import DATA, arguments, report, summary
from models.embeat_mlp import PUBLISHED_CONFIG, EmbeatMLP, load_checkpoint
from models.errors import CheckpointMismatch
from models.features import Audible
from models.network import Network, frozen, thawed
from streams.catalogue import sample_tracks
from streams.importing.tracks import open_tracks
from streams.labelled import records_of
from topics.records import Track

PUBLISHED = DATA / "embeat_mlp_published.pt"


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def published() -> EmbeatMLP:
    """The published weights, or weights of their shape where they are not at hand: it takes the same time."""
    try:
        return load_checkpoint(PUBLISHED)
    except CheckpointMismatch:
        return frozen(Network(PUBLISHED_CONFIG), "published architecture")


def as_published(network: Network, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Step by step, with torch, as the network is written down."""
    with torch.inference_mode():
        for batch in batches:
            network(*batch)


def figures(model: EmbeatMLP, tracks: list[Audible], batch: int, runs: int, single: int) -> dict[str, object]:
    """A model's speed from records to vectors, of the network alone, and of one track."""
    network = thawed(model)
    parts = [tracks[at : at + batch] for at in range(0, len(tracks), batch)]
    arrays = [model.inputs.arrays(part) for part in parts]
    tensors = [(torch.from_numpy(discrete), torch.from_numpy(acoustic)) for discrete, acoustic in arrays]
    ways: dict[str, Callable[[], object]] = {
        "tracks_per_s": lambda: [model.embed(part) for part in parts],
        "network_alone_per_s": lambda: [model.embed_arrays(*part) for part in arrays],
        "network_as_written_down_per_s": lambda: as_published(network, tensors),
    }
    for run in ways.values():
        run()
    rates = {name: summary([len(tracks) / seconds(run) for _ in range(runs)], 0) for name, run in ways.items()}
    one = itertools.cycle(tracks)
    alone = [1000 * seconds(lambda: model.embed([next(one)])) for _ in range(single)]
    return {"version": model.version, **rates, "one_track_ms": summary(alone, 4)}


def real_tracks(count: int) -> list[Audible]:
    """Tracks of the sample, over and over."""
    known = [one for one in records_of(open_tracks(Path(sample_tracks())), Track) if one.features]
    return list(itertools.islice(itertools.cycle(known), count))


def main() -> None:
    options = arguments(__doc__ or "", tracks=40_960, batch=4096, runs=15, single=2000)
    able = published()
    tracks = [one for one in real_tracks(options.tracks) if able.can_embed(one)]
    rest = options.batch, options.runs, options.single
    report(
        "embedding",
        {
            "threads": torch.get_num_threads(),
            "batch": options.batch,
            "ours": figures(load_checkpoint(), tracks, *rest),
            "published": figures(able, tracks, *rest),
        },
    )


if __name__ == "__main__":
    main()
