"""How much each channel counts: a few stated blends, of which the one that serves is chosen by what it has earned.

The choice is made for a request before its candidates are looked for, by surface and by how well the listener is known,
and drawn from the request's id, so that a request that comes again is answered alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from models.arms import Arms, is_known
from recall.person import Person
from recall.surfaces import SURFACES
from topics.records import SurfaceName

# How well a listener is known: nothing heard, few tracks, more.
ListenerKind = Literal["new", "few", "many"]
FEW = 50
BALANCED = "balanced"
# Channel -> times its usual weight. The first is what serves before anything is learnt.
BLENDS: Mapping[str, Mapping[str, float]] = {
    BALANCED: {},
    "by_sound": {
        "acoustic": 3.0,
        "fresh_nearby": 2.0,
        "similar_artists": 1.5,
        "playlist": 0.5,
        "neighbours": 0.5,
        "factors": 0.5,
        "listeners": 0.5,
        "artist_neighbours": 0.5,
    },
    "by_lists": {
        "playlist": 2.0,
        "neighbours": 2.0,
        "factors": 2.0,
        "listeners": 2.0,
        "session_neighbours": 2.0,
        "acoustic": 0.4,
        "genre_popular": 0.5,
    },
    "news_and_rising": {"fresh": 1.5, "fresh_nearby": 3.0, "rising": 3.0, "genre_popular": 2.0, "anchors": 0.5},
}
NAMES: tuple[str, ...] = tuple(BLENDS)


def kind_of(person: Person) -> ListenerKind:
    """How well a listener is known."""
    if not person.heard:
        return "new"
    return "few" if len(person.heard) < FEW else "many"


def place_of(surface: str, listener: str | None, blend: str | None) -> str | None:
    """Where a try of a blend counts, `None` where any of the names is unknown.

    >>> place_of("radio", "few", "by_sound"), place_of("radio", "few", "of last year")
    ('radio/few/by_sound', None)
    """
    known = surface in SURFACES and listener in get_args(ListenerKind) and blend in BLENDS
    return f"{surface}/{listener}/{blend}" if known else None


def blended(weights: Mapping[str, float], blend: str | None) -> dict[str, float]:
    """The channels' weights in a blend; `None` is as usual."""
    times = BLENDS[blend or BALANCED]
    return {name: weight * times.get(name, 1.0) for name, weight in weights.items()}


class Blends:
    """Chooses blends by what each has earned where."""

    def __init__(self, tries: Iterable[tuple[str, tuple[float, float]]] = ()) -> None:
        """What is known now.

        Args:
            tries: `place_of` a blend, and how often it was tried and welcome there; several of one place add up.
        """
        counted: dict[str, dict[str, tuple[float, float]]] = {}
        for place, (tried, glad) in tries:
            where, _, blend = place.rpartition("/")
            own = counted.setdefault(where, {})
            before = own.get(blend, (0.0, 0.0))
            own[blend] = before[0] + tried, before[1] + glad
        self.arms = {where: Arms(own, NAMES) for where, own in counted.items() if is_known(own, BALANCED)}

    def chosen(self, surface: SurfaceName, listener: ListenerKind, request_id: str, *, curious: bool) -> str:
        """The blend for a request; one that is not to be `curious` has the one of which most is expected."""
        arms = self.arms.get(f"{surface}/{listener}")
        if arms is None or SURFACES[surface].only is not None:
            return BALANCED
        return arms.drawn(_seed(request_id)) if curious else arms.best()


def _seed(request_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8, person=b"blends").digest(), "big")
