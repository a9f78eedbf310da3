"""How much smoother an ordered list is than one as it was chosen, on the sample, and what choosing and ordering take.

Lists of the sample's tracks: at random, and of the nearest to a track, which are alike to begin with. `saved` is the
share of the transitions' cost that ordering takes away; tempo, key, energy and sound as in recall/order.py.

python -m bench.order [--lists 100]
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from bench.harness import arguments, report, summary
from models.embeat_mlp import load_checkpoint
from recall.diversity import balance_of, choose
from recall.duplicates import one_release_each
from recall.merge import Merged
from recall.order import costs_of, in_order
from recall.spacing import spread
from recall.surfaces import surface_of
from recall.tracks import CataloguedTrack, Vector
from streams.catalogue import sample_tracks
from streams.importing.tracks import open_tracks
from topics.errors import RecordRefused
from topics.records import Track

SEED = 7
LENGTHS = (30, 100, 500)


def embedded_sample() -> tuple[list[CataloguedTrack], Vector]:
    """The sample's tracks that have a vector, and the vectors, (N, 64)."""
    source, model = open_tracks(sample_tracks()), load_checkpoint()
    records: list[Track] = []
    for item in source.items():
        try:
            record = source.convert(item)
        except RecordRefused:
            continue
        if isinstance(record, Track) and model.can_embed(record):
            records.append(record)
    tracks = [
        CataloguedTrack(
            record.track_id,
            record.title,
            record.artists,
            duration_ms=record.duration_ms,
            popularity=record.popularity,
            features=record.features,
        )
        for record in records
    ]
    return tracks, model.embed(records)


def taken_ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def smoother(tracks: list[CataloguedTrack], vectors: dict[str, Vector], lists: list[list[int]]) -> dict[str, object]:
    """What ordering saves, and what it takes."""
    saved, taken = [], []
    for places in lists:
        some = [tracks[place] for place in places]
        order: list[int] = []
        taken.append(taken_ms(lambda some=some, order=order: order.extend(in_order(some, vectors))))  # type: ignore[misc]
        costs = costs_of(some, vectors)
        saved.append(1 - costs.transition(order) / costs.transition(range(len(some))))
    return {"saved": summary(saved, 3), "ms": summary(taken)}


def stages(
    tracks: list[CataloguedTrack], vectors: dict[str, Vector], rng: np.random.Generator, limit: int, candidates: int
) -> dict[str, object]:
    """Milliseconds of the steps from candidates to a list."""
    places = rng.choice(len(tracks), candidates, replace=False)
    ranked = [
        Merged(tracks[int(place)], {"acoustic": rank}, {"acoustic": 60 / (60 + rank)}, {"acoustic": "near"})
        for rank, place in enumerate(places)
    ]
    balance = balance_of(limit, surface_of("radio"), [ranked[0].track], None)
    chosen = choose(ranked, vectors, balance)
    steps: dict[str, Callable[[], object]] = {
        "one_release_each": lambda: one_release_each(ranked, candidates),
        "choose": lambda: choose(ranked, vectors, balance),
        "in_order": lambda: in_order([one.track for one in chosen], vectors),
        "spread": lambda: spread(chosen),
    }
    return {name: summary([taken_ms(step) for _ in range(30)]) for name, step in steps.items()}


def main() -> None:
    options = arguments(__doc__, lists=100)
    rng = np.random.default_rng(SEED)
    tracks, matrix = embedded_sample()
    vectors = {track.track_id: vector for track, vector in zip(tracks, matrix, strict=True)}
    figures: dict[str, object] = {"tracks": len(tracks)}
    for length in LENGTHS:
        count = options.lists if length < 500 else max(3, options.lists // 10)
        random = [rng.choice(len(tracks), length, replace=False).tolist() for _ in range(count)]
        seeds = rng.choice(len(tracks), count, replace=False)
        near = [np.argsort(-(matrix @ matrix[seed]), kind="stable")[:length].tolist() for seed in seeds]
        figures[f"{length} at random"] = smoother(tracks, vectors, random)
        figures[f"{length} nearest"] = smoother(tracks, vectors, near)
    figures["30 of 200"] = stages(tracks, vectors, rng, 30, 200)
    figures["500 of 750"] = stages(tracks, vectors, rng, 500, 750)
    report("order", figures)


if __name__ == "__main__":
    main()
