"""Why a track came, from the real terms of its score."""

from __future__ import annotations

from recall.merge import Merged
from topics.records import Why

_SESSION = {"session_finished": "close to what you just finished"}


def explain(one: Merged) -> Why:
    """A sentence for the listener, the starts behind it, and the contributions that sum to the score."""
    terms = sorted(one.contributions, key=lambda name: (-one.contributions[name], name))
    said = dict.fromkeys(text for name in terms if one.contributions[name] > 0 and (text := _said(one, name)))
    sentence = "; ".join(list(said)[:2]) or "Popular now"
    return Why(
        text=sentence[0].upper() + sentence[1:],
        seed_track_ids=one.because,
        contributions={name: round(value, 6) for name, value in one.contributions.items()},
    )


def _said(one: Merged, name: str) -> str | None:
    return one.reasons.get(name) or _SESSION.get(name)
