"""What each version of the ranking really earned, beside the others, from the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from models.errors import TooFewTrials
from models.off_policy import Estimate, ratio
from streams.served_log import Followed

# From so much on a track counts as heard to its end.
TO_THE_END = 0.9
MEASURES = ("reward", "completed", "skipped")


class _Shown(NamedTuple):
    """A track of an answer, and what became of it."""

    person: str
    reward: float
    completed: float
    skipped: float


def outcomes(answers: Sequence[Followed], versions: tuple[str, str] | None, confidence: float = 0.95) -> dict[str, Any]:
    """Reward, and shares completed and skipped before 30 s, of a shown track, with intervals, a version a row.

    Only people are in it, and of their answers those with any reaction: an answer that nobody looked at shows nothing
    of its ranking. A track without a reaction in such an answer has earned 0. Intervals take all tracks of a person
    together.

    Args:
        answers: of the log, with what followed.
        versions: the two that are compared; `None` = those of the most answers.
        confidence: of the intervals.

    Raises:
        TooFewTrials: fewer than two people have seen one of the two versions.
    """
    shown: dict[str, list[_Shown]] = {}
    count: dict[str, int] = {}
    for one in answers:
        if one.served.user_id is not None and one.reactions:
            shown.setdefault(one.served.policy_version, []).extend(_shown(one, one.served.user_id))
            count[one.served.policy_version] = count.get(one.served.policy_version, 0) + 1
    first, second = versions or [*sorted(count, key=lambda name: (-count[name], name)), "", ""][:2]
    people = {name: {one.person for one in some} for name, some in shown.items()}
    for name in (first, second):
        if len(people.get(name, ())) < 2:
            known = ", ".join(f"{name} ({len(some)})" for name, some in sorted(people.items())) or "none"
            raise TooFewTrials(f"expected two versions that at least 2 people each reacted to, got {known}")
    found = {name: _measured(shown[name], confidence) for name in (first, second)}
    return {
        "versions": {
            name: {
                "people": len(people[name]),
                "answers": count[name],
                "tracks": len(shown[name]),
                **{measure: asdict(one) for measure, one in found[name].items()},
            }
            for name in (first, second)
        },
        "people_of_both": len(people[first] & people[second]),
        "difference": {
            measure: asdict(_difference(found[first][measure], found[second][measure])) for measure in MEASURES
        },
    }


def _shown(answer: Followed, person: str) -> list[_Shown]:
    rows = []
    for item in answer.served.items:
        reactions = answer.reactions.get(item.track_id, ())
        heard = max((one.share for one in reactions), default=0.0)
        completed = float(heard >= TO_THE_END)
        skipped = float(not completed and any(one.early for one in reactions))
        rows.append(_Shown(person, answer.reward(item.track_id) or 0.0, completed, skipped))
    return rows


def _measured(shown: Sequence[_Shown], confidence: float) -> dict[str, Estimate]:
    _, people = np.unique([one.person for one in shown], return_inverse=True)
    ones = np.ones(len(shown))
    return {
        measure: ratio(np.array([getattr(one, measure) for one in shown]), ones, people, confidence)
        for measure in MEASURES
    }


def _difference(first: Estimate, second: Estimate) -> Estimate:
    """The first less the second, of people who were told apart by chance."""
    value = first.value - second.value
    reach = float(np.hypot(first.high - first.value, second.high - second.value))
    return Estimate(value, value - reach, value + reach)
