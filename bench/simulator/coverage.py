"""How often the intervals of `throughbeat evaluate policy` hold the truth, on listeners whose truth is known.

python -m bench.simulator.coverage [--runs 200] [--answers 300]

No stack runs: answers are explored and logged by the product's own code, simulated listeners react to them, and what
another ranking would have earned is worked out by the stated probabilities of what they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.harness import arguments, report
from bench.simulator.listener import LIKES, State, Taste, affinities, begin_session, completion, draw_taste, respond
from bench.simulator.world import World, world_of
from models.bandit import Array, Posterior
from models.rewards import EARLY_SKIP, EARLY_SKIP_MS, SAVED
from recall.exploration import explore, rng_of
from recall.index.protocol import NO_FILTER
from recall.merge import Merged
from recall.policy import Ordered, Policy, reorder
from recall.query import RecallQuery
from recall.ranking_features import COLUMN, PRIOR, Scene, ordering
from streams.agents.recommendations import served_record
from streams.catalogue import sample_playlists, sample_tracks
from streams.labelled import Catalogue, read_catalogue
from streams.policy_value import draws, value_of
from streams.served_log import Followed, join
from topics.records import Listen, Served

SEED, LEVEL = 7, 0.95
# Candidates of an answer: so many near the listener's taste, and so many from anywhere.
NEAR, ANYWHERE, NEAREST = 14, 8, 400
LENGTH, RATE = 12, 2 / 12
SITUATIONS = 100
# How far off the scores of candidates are from what listeners like.
ERROR = 0.2
ESTIMATORS = ("logged", "ips", "snips", "dr")
QUERY = RecallQuery((), (), (), 0.5, NO_FILTER, False, 0)
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Situation:
    """A listener at the beginning of a session, and the candidates of a request.

    Attributes:
        rows: track id -> row of the world.
        ordered: as the logging policy has them.
    """

    taste: Taste
    state: State
    rows: dict[str, int]
    ordered: Ordered


def logging_policy() -> Policy:
    """What explores: it believes that what is popular is liked, which is wrong, and is not sure of anything."""
    mean = PRIOR.mean.copy()
    mean[COLUMN["popularity"]] = 0.5
    return Policy("logged", Posterior(mean, np.diag(0.3 * PRIOR.sd)))


def other_ranking() -> Posterior:
    """What is to be evaluated: it goes by the scores alone."""
    return Posterior(PRIOR.mean, np.zeros((len(PRIOR.mean), len(PRIOR.mean))))


def situations(world: World, catalogue: Catalogue, count: int, rng: np.random.Generator) -> list[Situation]:
    """Listeners of every kind, each with candidates."""
    found = []
    for _ in range(count):
        taste = draw_taste(world, rng, 1)
        state = begin_session(taste, None, 0, rng)
        liked = affinities(world, taste, state, slice(None))
        near = rng.choice(np.argsort(-liked)[:NEAREST], NEAR, replace=False)
        chosen = np.unique(np.concatenate([near, rng.integers(0, len(world), ANYWHERE)]))
        scores = liked[chosen] + rng.normal(0, ERROR, len(chosen))
        candidates = [
            Merged(catalogue.tracks[row], {"acoustic": rank}, {"acoustic": float(scores[place])}, {})
            for rank, place in enumerate(np.argsort(-scores).tolist())
            for row in [int(chosen[place])]
        ]
        ordered = reorder(candidates, Scene(QUERY, {}, {}, frozenset(), None), logging_policy())
        rows = {one.track.track_id: world.track_ids.index(one.track.track_id) for one in candidates}
        found.append(Situation(taste, state, rows, ordered))
    return found


def answer(situation: Situation, request_id: str) -> Served:
    """The record of an answer, as the product explores and logs it."""
    policy = logging_policy()
    shown = explore(situation.ordered.ranked[:LENGTH], situation.ordered, policy, QUERY, RATE, rng_of(request_id))
    return served_record(request_id, "u", "radio", shown, served_at_ms=0, policy_version=policy.version)


def reactions(world: World, situation: Situation, served: Served, rng: np.random.Generator) -> list[Listen]:
    """What the listener does with the explored tracks, which no other track of the list is like by its artist."""
    events = []
    for item in served.items:
        if not item.explored:
            continue
        row = situation.rows[item.track_id]
        state = State(situation.state.session, situation.state.pocket, situation.state.activity)
        done = respond(world, situation.taste, state, row, item.position, rng)
        duration_ms = int(world.durations_ms[row])
        said: list[tuple[str, int | None]] = [
            ("play" if done.completed else "skip", round(done.share * duration_ms)),
            *([("like", None)] if done.liked else []),
        ]
        events += [
            Listen(
                event_id=f"{served.request_id} {item.track_id} {kind}",
                user_id="u",
                kind=kind,  # type: ignore[arg-type]
                track_id=item.track_id,
                occurred_at_ms=0,
                played_ms=played_ms,
                duration_ms=duration_ms,
                request_id=served.request_id,
            )
            for kind, played_ms in said
        ]
    return events


def expected_reward(world: World, situation: Situation, track_id: str, position: int) -> float:
    """What a track earns on average at a position, by the probabilities in `bench.simulator.listener`."""
    row, state = situation.rows[track_id], situation.state
    ends = float(completion(world, situation.taste, state, [row], [position])[0])
    likes = min(1.0, max(0.0, LIKES * float(affinities(world, situation.taste, state, [row])[0])))
    # A share from Beta(1, 4) is a fifth on average, and below s with the probability 1 - (1 - s)^4.
    early = 1 - (1 - min(1.0, EARLY_SKIP_MS / float(world.durations_ms[row]))) ** 4
    return ends * (1 + SAVED * likes) + (1 - ends) * (0.2 + EARLY_SKIP * early)


def truths(world: World, found: Sequence[Situation], posterior: Posterior, draws_each: int) -> dict[str, float]:
    """The mean reward of an explored position: as `logged`, and given to what the posterior expects most of."""
    weights: Array = ordering(posterior.mean)
    earned: list[tuple[float, float]] = []
    for number, situation in enumerate(found):
        for again in range(draws_each):
            served = answer(situation, f"truth {number} {again}")
            scores = [float(np.array(one.features) @ weights) for one in served.pool]
            for drawn in draws(Followed(served)):
                wanted = served.pool[max(drawn.left, key=lambda one: (scores[one], -one))].track_id
                here = (drawn.item.track_id, wanted)
                earned.append(tuple(expected_reward(world, situation, one, drawn.item.position) for one in here))  # type: ignore[arg-type]
    logged, other = np.mean(earned, axis=0).tolist()
    return {"logged": logged, **dict.fromkeys(ESTIMATORS[1:], other)}


def covered(world: World, found: Sequence[Situation], runs: int, answers: int, seed: int = SEED) -> dict[str, Any]:
    """Estimator -> how many of the runs' intervals held the truth, and the mean of the estimates beside it."""
    posterior = other_ranking()
    truth = truths(world, found, posterior, 60)
    held, values = dict.fromkeys(ESTIMATORS, 0), {name: list[float]() for name in ESTIMATORS}
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        records: list[Served | Listen] = []
        for number, which in enumerate(rng.integers(0, len(found), answers).tolist()):
            served = answer(found[which], f"{seed} {run} {number}")
            records += [served, *reactions(world, found[which], served, rng)]
        told = value_of(posterior, join(((0, one) for one in records), HOUR_MS), LEVEL)
        for name in ESTIMATORS:
            held[name] += told[name]["low"] <= truth[name] <= told[name]["high"]
            values[name].append(told[name]["value"])
    return {
        name: {
            "truth": round(truth[name], 4),
            "mean": round(float(np.mean(values[name])), 4),
            "sd": round(float(np.std(values[name])), 4),
            "held": held[name],
        }
        for name in ESTIMATORS
    }


def simulated(count: int = SITUATIONS) -> tuple[World, list[Situation]]:
    """The bundled catalogue's world, and situations in it."""
    catalogue = read_catalogue(sample_tracks(), sample_playlists())
    world = world_of(catalogue, SEED)
    return world, situations(world, catalogue, count, np.random.default_rng(SEED))


def main() -> None:
    given = arguments(__doc__ or "", runs=200, answers=300)
    world, found = simulated()
    told = covered(world, found, given.runs, given.answers)
    report("coverage", {"runs": given.runs, "answers": given.answers, "level": LEVEL, "estimators": told})


if __name__ == "__main__":
    main()
