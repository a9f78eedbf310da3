"""How long the ranking takes: features and scores of candidates, exploration, one lesson, one posterior.

    python -m bench.ranking

Candidates are made up; no stack runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

# As in a worker, whose one thread ranks.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from bench.harness import report, summary
from models.bandit import Evidence, posterior_of
from recall.exploration import explore, rng_of
from recall.index.protocol import NO_FILTER
from recall.merge import Merged
from recall.policy import Policy, reorder
from recall.query import RecallQuery, Start
from recall.ranking_features import CHANNELS, PRIOR, SIZE, Scene, features_of
from recall.tracks import ACOUSTIC, CataloguedTrack, IndexedTrack
from topics.records import ArtistRef, Features, ListeningContext

NOW_MS = 1_790_000_000_000
RUNS = 300


def timed(step: Callable[[], object]) -> dict[str, float | int]:
    """Milliseconds of `RUNS` runs."""
    step()
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        step()
        taken.append((time.perf_counter() - began) * 1000)
    return summary(taken, digits=4)


def track(number: int) -> CataloguedTrack:
    return CataloguedTrack(
        track_id=f"t{number}",
        title=f"Title {number}",
        artists=(ArtistRef(artist_id=f"a{number % 200}", name="Name"),),
        release_date="2024-05-01",
        popularity=float(number % 100),
        genres=(f"genre {number % 20}", f"genre {number % 7}"),
        features=Features(energy=(number % 100) / 100),
    )


def main() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(600, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    starts = tuple(Start(IndexedTrack(track(n), {ACOUSTIC: vectors[n]}), 1.0) for n in range(500, 532))
    context = ListeningContext(device="speaker", activity="running", local_hour=7)
    scene = Scene(
        RecallQuery(starts, (), (), 0.5, NO_FILTER, False, NOW_MS),
        {f"t{n}": vectors[n] for n in range(500)},
        {f"t{n}": NOW_MS for n in range(0, 500, 3)},
        frozenset({"a1", "a2"}),
        context,
    )
    evidence = Evidence(SIZE, 30 * 86_400_000.0)
    row = rng.normal(size=SIZE)
    for _ in range(200):
        evidence.learn(rng.normal(size=SIZE), 0.5, at_ms=NOW_MS, is_new=True)
    policy = Policy("bench", posterior_of(PRIOR, [evidence], now_ms=NOW_MS))
    found: dict[str, object] = {}
    for count in (90, 500):
        candidates = [
            Merged(track(n), {CHANNELS[n % 5]: n, CHANNELS[n % 3 + 5]: n}, {CHANNELS[n % 5]: 1 / (1 + n)}, {})
            for n in range(count)
        ]
        rows = features_of(candidates, scene)
        ordered = reorder(candidates, scene, policy)
        found[f"{count}_candidates_ms"] = {
            "scores": timed(lambda rows=rows: policy.posterior.expected(rows)),  # type: ignore[misc]
            "draw_and_scores": timed(lambda rows=rows: rows @ policy.posterior.drawn(rng)),  # type: ignore[misc]
            "features": timed(lambda given=candidates: features_of(given, scene)),  # type: ignore[misc]
            "features_scores_order": timed(lambda given=candidates: reorder(given, scene, policy)),  # type: ignore[misc]
            "explore": timed(
                lambda found=ordered: explore(found.ranked[:30], found, policy, scene.query, 0.25, rng_of("r"))  # type: ignore[misc]
            ),
        }
    found["one_lesson_ms"] = timed(lambda: evidence.learn(row, 0.5, at_ms=NOW_MS, is_new=True))
    found["posterior_of_8_partitions_ms"] = timed(lambda: posterior_of(PRIOR, [evidence] * 8, now_ms=NOW_MS))
    report("ranking", found)


if __name__ == "__main__":
    main()
