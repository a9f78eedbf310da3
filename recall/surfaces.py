"""What each place where lists are shown wants of its list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from topics.records import SurfaceName

DEFAULT_SURFACE: SurfaceName = "made_for_you"


@dataclass(frozen=True)
class Surface:
    """One such place.

    Attributes:
        candidates: tracks asked of each channel, at least.
        in_order: heard from first to last, so that what follows what matters.
        relevance: how much the score of a track counts against its likeness to the tracks before it, 0..1.
        popular_share: about how much of the list everybody knows; `None` = as it comes.
        only: the channels that are asked; `None` = all.
        weights: channel -> times its usual weight; 0 = not asked.
        releases: only what has come out in the last weeks, and all of it.
        by_pocket: from one of the person's pockets, which the request's `mix` names.
    """

    candidates: int = 45
    in_order: bool = False
    relevance: float = 0.6
    popular_share: float | None = None
    only: frozenset[str] | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    releases: bool = False
    by_pocket: bool = False

    def asks(self, channel: str) -> bool:
        """Whether a channel has something to say here."""
        return (self.only is None or channel in self.only) and self.weights.get(channel, 1.0) > 0

    def weighed(self, usual: Mapping[str, float]) -> dict[str, float]:
        """The weights of the channels that are asked."""
        return {name: one * self.weights.get(name, 1.0) for name, one in usual.items() if self.asks(name)}


SURFACES: Mapping[SurfaceName, Surface] = {
    "made_for_you": Surface(),
    # What is known to please comes first.
    "top_mixes": Surface(weights={"genre_popular": 2.0, "same_artist": 1.5, "anchors": 2.0, "fresh": 0.2}),
    "radio": Surface(in_order=True),
    # The session may be in another pocket.
    "daily_mix": Surface(in_order=True, by_pocket=True, weights={"leaning": 0.0}),
    # Nothing that somebody knows, and more by others than by the artists they listen to.
    "discover_weekly": Surface(
        candidates=500,
        in_order=True,
        popular_share=0.1,
        weights={"anchors": 0.0, "same_artist": 0.25, "genre_popular": 0.5, "fresh": 0.2, "similar_artists": 1.5},
    ),
    # Every release of the artists that somebody follows, however alike.
    "release_radar": Surface(relevance=1.0, only=frozenset({"fresh", "fresh_nearby"}), releases=True),
}


def surface_of(name: SurfaceName | None) -> Surface:
    """The surface that a request names, or the default one."""
    return SURFACES[name or DEFAULT_SURFACE]
