"""Why a track came, from the real terms of its score."""

from __future__ import annotations

from recall.merge import Merged
from topics.records import Why

# A sentence names no more reasons, and none that adds less than this share of what the strongest of them adds.
REASONS_MAX = 2
SHARE_OF_STRONGEST = 0.25


def explain(one: Merged) -> Why:
    """A sentence for the listener, the starts and plays behind it, and the contributions that sum to the score."""
    terms = one.contributions
    # A term such as the prior weighs the others anew and has no reason of its own.
    telling = sorted((-terms[name], name) for name in one.reasons if terms.get(name, 0.0) > 0)
    named = [name for worth, name in telling if worth <= SHARE_OF_STRONGEST * telling[0][0]]
    said = dict.fromkeys(one.reasons[name] for name in named[:REASONS_MAX])
    sentence = "; ".join(said) or "Suggested for you"
    return Why(
        text=sentence[0].upper() + sentence[1:],
        seed_track_ids=one.because,
        contributions={name: round(value, 6) for name, value in terms.items()},
    )
