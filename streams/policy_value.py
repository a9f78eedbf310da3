"""What a version of the ranking would have earned at the explored positions of the answers in the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from models.bandit import Array, Posterior
from models.errors import TooFewTrials
from models.off_policy import Trials, effective_size, estimates
from recall.ranking_features import SIZE, VERSION, ordering
from streams.served_log import Followed
from topics.records import PooledItem, ServedItem

# A log's own probabilities must agree that far.
AGREED = 1e-6


class Drawn(NamedTuple):
    """An explored position: what was drawn there, and what it could have been, by their numbers in the pool."""

    item: ServedItem
    number: int
    left: Sequence[int]


def value_of(posterior: Posterior, answers: Sequence[Followed], confidence: float = 0.95) -> dict[str, Any]:
    """The mean reward of an explored position, were it given to the track that the posterior expects most of.

    A track that nobody reacted to has earned 0. Answers of other features, and positions whose probabilities are not
    what their pool says, are left out and counted.

    Raises:
        TooFewTrials: hardly anything was explored.
    """
    weights = ordering(posterior.mean)
    rows: list[tuple[int, float, float, float, Array, Array]] = []
    passed_over = 0
    for number, followed in enumerate(answers):
        pool = followed.served.pool
        if not pool:
            continue
        if not _is_known(followed):
            passed_over += 1
            continue
        features = np.array([one.features for one in pool])
        scores = features @ weights
        for drawn in draws(followed):
            if not _agrees(drawn, pool):
                passed_over += 1
                continue
            wanted = max(drawn.left, key=lambda one: (scores[one], -one))
            earned = followed.reward(drawn.item.track_id) or 0.0
            propensity = drawn.item.propensity or 0.0
            rows.append(
                (number, earned, propensity, float(wanted == drawn.number), features[drawn.number], features[wanted])
            )
    if not rows:
        raise TooFewTrials(f"expected explored tracks of features {VERSION}, got none in {len(answers)} answers")
    trials = Trials(*(np.array(column) for column in zip(*rows, strict=True)))
    return {
        "answers": len({row[0] for row in rows}),
        "explored": len(rows),
        "passed_over": passed_over,
        "effective_size": round(effective_size(trials.weights), 1),
        **{name: asdict(found) for name, found in estimates(trials, confidence).items()},
    }


def draws(followed: Followed) -> Iterator[Drawn]:
    """The explored positions in the order in which they were drawn."""
    places = {one.track_id: number for number, one in enumerate(followed.served.pool)}
    left = list(places.values())
    for item in sorted(followed.served.items, key=lambda one: one.position):
        if item.explored and (number := places.get(item.track_id)) is not None:
            yield Drawn(item, number, tuple(left))
            left.remove(number)


def _is_known(followed: Followed) -> bool:
    served = followed.served
    return all(one.feature_names_version == VERSION for one in served.items) and all(
        len(one.features) == SIZE for one in served.pool
    )


def _agrees(drawn: Drawn, pool: Sequence[PooledItem]) -> bool:
    of_left = sum(pool[number].probability for number in drawn.left)
    stated = drawn.item.propensity or 0.0
    return stated > 0 and abs(stated - pool[drawn.number].probability / of_left) <= AGREED
