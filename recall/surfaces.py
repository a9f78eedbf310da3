"""What each place where lists are shown wants of its list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """

    candidates: int = 45
    in_order: bool = False
    relevance: float = 0.6
    popular_share: float | None = None


SURFACES: Mapping[SurfaceName, Surface] = {
    "made_for_you": Surface(),
    "top_mixes": Surface(),
    "radio": Surface(in_order=True),
    "daily_mix": Surface(in_order=True),
    "discover_weekly": Surface(candidates=500, in_order=True, popular_share=0.1),
    # Every release of the artists that somebody follows, however alike.
    "release_radar": Surface(relevance=1.0),
}


def surface_of(name: SurfaceName | None) -> Surface:
    """The surface that a request names, or the default one."""
    return SURFACES[name or DEFAULT_SURFACE]
