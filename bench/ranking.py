"""How long the ranking takes: features and scores of candidates, a blend, exploration, one lesson, one posterior.

    python -m bench.ranking

Candidates are made up; no stack runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

# As in a worker, whose one thread ranks.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray

from bench.harness import report, summary
from models.bandit import Array, Evidence, posterior_of
from models.skip_weights import SkipWeights
from models.skips import OnlineSkips
from recall.blends import Blends
from recall.exploration import explore, rng_of
from recall.index.protocol import NO_FILTER
from recall.judged import TERM as PRIOR_TERM
from recall.leaning import leaning
from recall.merge import Merged
from recall.policy import Policy, reorder
from recall.query import RecallQuery, Start
from recall.ranking_features import CHANNELS, PRIOR, SIZE, SKIP_SIZE, ByLists, Scene, features_of, skip_rows
from recall.scored import Scored
from recall.session import FINISHED, IN_MOOD, SKIPPED
from recall.tracks import ACOUSTIC, CataloguedTrack, IndexedTrack
from topics.records import ArtistRef, Features, Listen, ListeningContext

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


def heard(number: int) -> Listen:
    return Listen(
        event_id=f"e{number}",
        user_id="u",
        kind="play" if number % 3 else "skip",
        track_id=f"t{number}",
        occurred_at_ms=NOW_MS + number,
        played_ms=4_000,
    )


def by_lists_of(
    rng: np.random.Generator, weights: Mapping[str, float]
) -> Callable[[Sequence[CataloguedTrack]], ByLists]:
    """As the shelf tells it: rows by id, and cosines of 32 factors to those of 32 starts and of what was heard."""
    factors, rows = rng.normal(size=(600, 32)).astype(np.float32), {f"t{n}": n for n in range(600)}

    def directions_of(track_ids: Sequence[str]) -> NDArray[np.float32]:
        found = factors[[rows.get(one, -1) for one in track_ids]]
        units: NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
        return units

    starts = directions_of([f"t{n}" for n in range(500, 532)])

    def by_lists(tracks: Sequence[CataloguedTrack]) -> ByLists:
        found = directions_of([one.track_id for one in tracks])
        leant = found @ (np.array(list(weights.values()), np.float32) @ directions_of(list(weights)))
        return (found @ starts.T).max(axis=1), leant

    return by_lists


def main() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(600, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    starts = tuple(Start(IndexedTrack(track(n), {ACOUSTIC: vectors[n]}), 1.0) for n in range(500, 532))
    context = ListeningContext(device="speaker", activity="running", local_hour=7)
    session = [heard(n) for n in range(50)]
    leant = leaning(session, {f"t{n}": IndexedTrack(track(n), {ACOUSTIC: vectors[n]}) for n in range(50)})
    scene = Scene(
        RecallQuery(starts, (), (), 0.5, NO_FILTER, False, NOW_MS, leaning=leant),
        {f"t{n}": vectors[n] for n in range(500)},
        {f"t{n}": NOW_MS for n in range(0, 500, 3)},
        frozenset({"a1", "a2"}),
        context,
        session,
        by_lists_of(rng, leant.weights),
    )
    evidence = Evidence(SIZE, 30 * 86_400_000.0)
    row = rng.normal(size=SIZE)
    for _ in range(200):
        evidence.learn(rng.normal(size=SIZE), 0.5, at_ms=NOW_MS, is_new=True)
    skips = SkipWeights(rng.normal(size=SKIP_SIZE), 0.0, 500)
    tries = (("radio/few/balanced", (2_000.0, 900.0)), ("radio/few/by_sound", (200.0, 100.0)))
    blends = Blends(tries)
    policy = Policy("bench", posterior_of(PRIOR, [evidence], now_ms=NOW_MS), skips=skips, blends=blends)
    found: dict[str, object] = {}
    for count in (90, 500):
        found_by_channels = [
            Merged(track(n), {CHANNELS[n % 5]: n, CHANNELS[n % 3 + 5]: n}, {CHANNELS[n % 5]: 1 / (1 + n)}, {})
            for n in range(count)
        ]
        terms = dict.fromkeys((PRIOR_TERM, FINISHED, SKIPPED, IN_MOOD), np.full(count, 0.1))

        def candidates(found: Sequence[Merged] = found_by_channels, terms: Mapping[str, Array] = terms) -> Scored:
            """As they come to the ranking, for the first time: nothing of them has been worked out."""
            return Scored.of(found).plus(terms)

        rows = features_of(candidates(), scene)
        ordered = reorder(candidates(), scene, policy)
        found[f"{count}_candidates_ms"] = {
            "scores": timed(lambda rows=rows: policy.posterior.expected(rows)),  # type: ignore[misc]
            "draw_and_scores": timed(lambda rows=rows: rows @ policy.posterior.drawn(rng)),  # type: ignore[misc]
            "features": timed(lambda given=candidates: features_of(given(), scene)),  # type: ignore[misc]
            "features_scores_order": timed(lambda given=candidates: reorder(given(), scene, policy)),  # type: ignore[misc]
            "explore": timed(
                lambda found=ordered: explore(found.ranked[:30], found, policy, scene.query, 0.25, rng_of("r"))  # type: ignore[misc]
            ),
        }
    found["blend_ms"] = timed(lambda: blends.chosen("radio", "few", "request", curious=True))
    found["blends_ms"] = timed(lambda: Blends(tries))
    online = OnlineSkips(skips)
    skip_row = skip_rows(row[None, :])[0]
    found["one_skip_ms"] = timed(lambda: online.learn(skip_row, True))
    found["one_lesson_ms"] = timed(lambda: evidence.learn(row, 0.5, at_ms=NOW_MS, is_new=True))
    found["posterior_of_8_partitions_ms"] = timed(lambda: posterior_of(PRIOR, [evidence] * 8, now_ms=NOW_MS))
    report("ranking", found)


if __name__ == "__main__":
    main()
