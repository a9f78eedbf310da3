"""What is reported of policies, each figure with its interval, and how far the first policy is from each other one.

Listeners are drawn again, the same ones for every policy, so that the intervals of differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.simulator.life import Plan, Streak, Told

Numbers = NDArray[np.float64]
Lives = Sequence[Sequence[Sequence[Told]]]

DRAWS, LEVEL = 1_000, 0.95
# A newcomer is served, and a drift is followed, once so much of the known taste's share is completed, over so many
# sessions.
ENOUGH, OVER = 0.8, 3
# From so many tracks a listener on, the ranking has had its chance.
LATER_FROM = 100
LITTLE = 1e-3
LATER = f"completed after {LATER_FROM}"
# Of the sessions before the drift, how many show what a known taste is worth: the last third.
KNOWN = 3


def compare(lives: Mapping[str, Lives], plan: Plan, tracks: int, seed: int = 0) -> dict[str, Any]:
    """What is told of policies, each figure a value with its interval.

    Returns:
        `policies` (name -> measure), `differences` (the first less each other) and `gains` (what the first completes
        more than each other, as a share of that, once `LATER_FROM` tracks are heard).
    """
    draws = np.random.default_rng(seed).integers(0, plan.listeners, (DRAWS, plan.listeners))
    everybody = np.arange(plan.listeners)
    names = list(lives)
    found: dict[str, dict[str, tuple[float, Numbers]]] = {}
    for name, one in lives.items():
        measured = measures_of(one, plan)
        found[name] = {
            measure: (value(everybody), np.array([value(drawn) for drawn in draws]))
            for measure, value in measured.items()
        }
    first = found[names[0]]
    return {
        "policies": {
            name: {
                **{measure: _told(value, drawn) for measure, (value, drawn) in own.items()},
                "share of catalogue": round(reached(lives[name]) / tracks, 4),
            }
            for name, own in found.items()
        },
        "differences": {
            name: {
                measure: _told(first[measure][0] - value, first[measure][1] - drawn)
                for measure, (value, drawn) in found[name].items()
            }
            for name in names[1:]
        },
        "gains": {
            name: _told(
                first[LATER][0] / max(LITTLE, found[name][LATER][0]) - 1,
                first[LATER][1] / np.maximum(LITTLE, found[name][LATER][1]) - 1,
            )
            for name in names[1:]
        },
    }


def measures_of(lives: Lives, plan: Plan) -> dict[str, Callable[[NDArray[np.int64]], float]]:
    """Measure -> its value for some of the listeners."""
    completed = _table(lives, lambda one: one.completed)
    tracks = _table(lives, lambda one: len(one.rows))
    lists = _table(lives, lambda one: 1)

    later = min(math.ceil(LATER_FROM / (plan.lists * plan.length)), plan.sessions - 1)

    def share(of: Numbers) -> Callable[[NDArray[np.int64]], float]:
        return lambda who: float(of[who].sum() / max(1.0, tracks[who].sum()))

    def a_list(of: Numbers) -> Callable[[NDArray[np.int64]], float]:
        return lambda who: float(of[who].sum() / lists[who].sum())

    def curve(who: NDArray[np.int64]) -> Numbers:
        return np.asarray(completed[who].sum(axis=0) / np.maximum(1.0, tracks[who].sum(axis=0)))

    heard_ms = _table(lives, lambda one: one.heard_ms)
    return {
        "completed": share(completed),
        LATER: lambda who: float(completed[who][:, later:].sum() / max(1.0, tracks[who][:, later:].sum())),
        "skipped": share(_table(lives, lambda one: one.skipped)),
        "minutes": lambda who: float(heard_ms[who].sum(axis=1).mean() / 60_000),
        "regret": a_list(_table(lives, lambda one: one.regret)),
        "spread": a_list(_table(lives, lambda one: one.spread)),
        "sessions until known": lambda who: until_known(curve(who), plan.drifts_at),
        "sessions until drift followed": lambda who: until_followed(curve(who), plan.drifts_at),
    }


def share_left(streaks: Sequence[Streak], seed: int = 0) -> dict[str, Any]:
    """The share that a pocket has of a list after a streak of skips in it, of the one before, and both."""
    if not streaks:
        return {"listeners": 0}
    shares = np.array([(one.before, one.after) for one in streaks])
    draws = np.random.default_rng(seed).integers(0, len(shares), (DRAWS, len(shares)))
    drawn = shares[draws].mean(axis=1)
    before, after = shares.mean(axis=0)
    return {
        "listeners": len(shares),
        "before": round(float(before), 4),
        "after": round(float(after), 4),
        "share left": _told(float(after / before), drawn[:, 1] / drawn[:, 0]),
    }


def until_known(curve: Numbers, drifts_at: int) -> float:
    """Sessions of a newcomer until `ENOUGH` of what a known taste is worth is completed."""
    return _reached(curve[:drifts_at], ENOUGH * _known(curve, drifts_at))


def until_followed(curve: Numbers, drifts_at: int) -> float:
    """Sessions after the drift until `ENOUGH` of what was completed before it is again."""
    return _reached(curve[drifts_at:], ENOUGH * _known(curve, drifts_at))


def reached(lives: Lives) -> int:
    """Different tracks that were served."""
    return len({row for life in lives for session in life for one in session for row in one.rows})


def _known(curve: Numbers, drifts_at: int) -> float:
    return float(curve[drifts_at - max(1, drifts_at // KNOWN) : drifts_at].mean())


def _reached(curve: Numbers, least: float) -> float:
    """The first session from which on the mean of `OVER` is enough; all of them when it never is."""
    for at in range(len(curve) - OVER + 1):
        if curve[at : at + OVER].mean() >= least:
            return float(at)
    return float(len(curve))


def _table(lives: Lives, of: Callable[[Told], float]) -> Numbers:
    """(listeners, sessions): summed over the lists."""
    return np.array([[sum(of(one) for one in session) for session in life] for life in lives], np.float64)


def _told(value: float, drawn: Numbers) -> dict[str, Any]:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"value": round(value, 4), "interval": [round(float(low), 4), round(float(high), 4)]}
