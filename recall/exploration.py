"""Places of a list that are given to tracks which the ranking does not know to be good, drawn with known probabilities.

What is learnt from such a place is no echo of what the ranking believes already; and since the probability of each
track is exact, the log tells without bias what another ranking would have earned there (`models.off_policy`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from models.bandit import Array
from recall.channels.acoustic import compatible, words
from recall.merge import Merged
from recall.person import Person
from recall.policy import Ordered, Policy
from recall.query import RecallQuery, Start
from recall.ranking_features import COLUMN, ORDERING, SIZE, at_positions, ordering
from recall.spacing import spread
from topics.records import SurfaceName

RATES: Mapping[SurfaceName, float] = {
    "radio": 0.08,
    "top_mixes": 0.12,
    "daily_mix": 0.25,
    "made_for_you": 0.25,
    "discover_weekly": 0.45,
    "release_radar": 0.10,
}
LEAST, MOST = 0.05, 0.5
NEW_DAYS, NEW = 30, 1.3
# A taste of so many genres, counted by their weights, is broad; of so few narrow. Fewer starts tell neither.
BROAD_FROM, BROAD, NARROW_TO, NARROW, TASTE_FROM = 6.0, 1.2, 3.0, 0.7, 5
# The share of explored tracks that somebody liked, from so many on.
GLAD_FROM, GLAD, SORRY_TO, SORRY, TRIED_FROM = 0.5, 1.1, 0.2, 0.8, 5
# The first positions are what the ranking is surest of.
FIRST, APART = 3, 4
POOL_MAX = 16
# How much of a pool's probability is even, and how sharply the rest follows the drawn weights. What is expected of the
# tracks of a pool differs by some 0.04; with a sharper choice, estimates from the log hold the truth too seldom.
EVEN, TEMPERATURE = 0.2, 0.05
FRESH_HALF = 0.5
NO_FEATURES: Array = np.zeros((0, SIZE))
DAY_MS = 86_400_000


class Pooled(Struct, frozen=True, gc=False):
    """A track that could have been drawn.

    Attributes:
        source: why it is there.
        probability: of being drawn first; later draws share out that of those that are gone.
    """

    track_id: str
    source: str
    probability: float


@dataclass(frozen=True)
class Shown:
    """A list as it is shown, and the pool that its explored tracks were drawn from.

    Attributes:
        features: (N, SIZE) what the ranking knew of the items; `pool_features` of the pool.
    """

    items: tuple[Merged, ...]
    features: Array
    pool: tuple[Pooled, ...] = ()
    pool_features: Array = field(default_factory=lambda: NO_FEATURES)

    def items_logged(self) -> list[tuple[float, ...]]:
        """The features of the items as they are logged."""
        return at_positions(self.features, range(len(self.items)))

    def pool_logged(self) -> list[tuple[float, ...]]:
        """Those of the pool, as if each were at the head of the list."""
        return at_positions(self.pool_features, [0] * len(self.pool))


NONE_SHOWN = Shown((), NO_FEATURES)


def rng_of(request_id: str) -> np.random.Generator:
    """Chance that is the same each time a request is answered."""
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest(), "big"))


def rate_of(surface: SurfaceName, person: Person, starts: Sequence[Start], *, now_ms: int) -> float:
    """The share of a list to explore on a surface, for this person; `starts` are where their list starts from."""
    rate = RATES[surface]
    if now_ms - min(person.heard.values(), default=now_ms) < NEW_DAYS * DAY_MS:
        rate *= NEW
    if len(starts) >= TASTE_FROM:
        genres = effective_genres(starts)
        rate *= BROAD if genres >= BROAD_FROM else NARROW if genres <= NARROW_TO else 1.0
    if person.explored >= TRIED_FROM:
        glad = person.explored_gladly / person.explored
        rate *= GLAD if glad >= GLAD_FROM else SORRY if glad <= SORRY_TO else 1.0
    return min(MOST, max(LEAST, rate))


def effective_genres(starts: Iterable[Start]) -> float:
    """How many genres the starts have, those of little weight counting little: the exponential of their entropy."""
    weights: dict[str, float] = {}
    for start in starts:
        for genre in start.track.genres:
            weights[genre] = weights.get(genre, 0.0) + start.weight / len(start.track.genres)
    shares = np.array(list(weights.values())) / (sum(weights.values()) or 1.0)
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def positions(rate: float, length: int, rng: np.random.Generator) -> list[int]:
    """Positions to explore: as many as the rate has on average, as far as they fit, each choice as likely."""
    if length <= FIRST or rate <= 0:
        return []
    wanted = rate * length
    count = int(wanted) + (rng.random() < wanted - int(wanted))
    count = min(count, 1 + (length - FIRST - 1) // APART)
    free = length - FIRST - (APART - 1) * (count - 1)
    chosen = np.sort(rng.choice(free, size=count, replace=False)) if count else np.zeros(0, int)
    return [FIRST + int(at) + (APART - 1) * number for number, at in enumerate(chosen)]


def explore(
    items: Sequence[Merged], ordered: Ordered, policy: Policy, query: RecallQuery, rate: float, rng: np.random.Generator
) -> Shown:
    """The list with explored tracks at some positions; they take the places of those with the least scores.

    Weights are drawn from what is believed of them (Thompson sampling), once a list; given these, the probability of
    each track of the pool is exact: in part even, in part by its drawn score. No artist of the list is in the pool.
    """
    places = positions(rate, len(items), rng)
    pool, sources = pool_of(items, ordered, policy, query) if places else ([], [])
    if not pool:
        return _shown(items, ordered)
    features = ordered.of(one.track for one in pool)
    scores = np.zeros(len(pool)) if policy.by_chance else features @ ordering(policy.posterior.drawn(rng))
    probabilities = first_probabilities(scores)
    drawn = draw(probabilities, min(len(places), len(pool)), rng)
    # What stands between two tracks of an artist may be gone.
    kept = spread(_without_least(items, len(drawn)))
    for place, (number, propensity) in zip(places, drawn, strict=False):
        kept.insert(place, replace(pool[number], explored=True, propensity=propensity))
    told = [
        Pooled(one.track.track_id, source, probability)
        for one, source, probability in zip(pool, sources, probabilities.tolist(), strict=True)
    ]
    return _shown(kept, ordered, told, features)


def pool_of(
    items: Sequence[Merged], ordered: Ordered, policy: Policy, query: RecallQuery
) -> tuple[list[Merged], list[str]]:
    """Candidates outside the list that are worth a try, one an artist, and the source of each.

    Sources take turns: fresh releases, tracks that rise, of genres next to the starts', that sound alike and are of
    other genres, and those of which most may be hoped: of two that are expected to please as much, the one of which the
    ranking is less sure.

    Source: P. Auer, Using Confidence Bounds for Exploitation-Exploration Trade-offs, JMLR 2002.
    """
    listed = {one.track.track_id for one in items}
    artists = {artist for one in items for artist in one.track.artist_ids}
    ranked = ordered.ranked
    left = [at for at, track in enumerate(ranked.tracks) if track.artist_ids and artists.isdisjoint(track.artist_ids)]
    left = [at for at in left if ranked.tracks[at].track_id not in listed]
    found = [[(at, source) for at in some] for source, some in _by_source(left, ordered, policy, query).items()]
    pool: list[Merged] = []
    sources: list[str] = []
    for at, source in (pair for turn in zip_longest(*found) for pair in turn if pair is not None):
        own = ranked.tracks[at].artist_ids
        if len(pool) < POOL_MAX and artists.isdisjoint(own):
            artists.update(own)
            pool.append(ranked[at])
            sources.append(source)
    return pool, sources


def _by_source(
    left: Sequence[int], ordered: Ordered, policy: Policy, query: RecallQuery
) -> Mapping[str, Sequence[int]]:
    """Source -> places among the ranked, of those that are left."""
    if not left:
        return {}
    tracks, candidates = ordered.ranked.tracks, ordered.ranked.candidates
    features = ordered.of(tracks[at] for at in left)
    genres = {genre for start in query.starts for genre in start.track.genres}
    near = words(tuple(sorted(genres)))
    found: dict[str, list[int]] = {"fresh": [], "rising": [], "adjacent": [], "sounds_alike": []}
    for at, fresh in zip(left, features[:, COLUMN["freshness"]].tolist(), strict=True):
        track, ranks = tracks[at], candidates[at].ranks
        if fresh >= FRESH_HALF or "fresh_nearby" in ranks:
            found["fresh"].append(at)
        elif "rising" in ranks:
            found["rising"].append(at)
        elif genres and track.genres and genres.isdisjoint(track.genres):
            is_near = compatible(words(track.genres), near)
            if is_near or "acoustic" in ranks:
                found["adjacent" if is_near else "sounds_alike"].append(at)
    hoped = features @ ordering(policy.posterior.mean) + policy.posterior.deviation(features * ORDERING)
    found["uncertain"] = [left[row] for row in np.argsort(-hoped, kind="stable")]
    return found


def first_probabilities(scores: Array) -> Array:
    """(N,) of being drawn first: a softmax of the scores, mixed with an even share so that none is hopeless."""
    weights = np.exp((scores - scores.max()) / TEMPERATURE)
    probabilities: Array = (1 - EVEN) * weights / weights.sum() + EVEN / len(scores)
    return probabilities


def draw(probabilities: Array, count: int, rng: np.random.Generator) -> list[tuple[int, float]]:
    """`count` different numbers in the order drawn, each with its probability given those drawn before it."""
    left = probabilities.copy()
    drawn = []
    for _ in range(count):
        upto = left.cumsum()
        # A number below 1 times the sum may round up to it.
        number = min(int(upto.searchsorted(rng.random() * upto[-1], side="right")), int(left.nonzero()[0][-1]))
        drawn.append((number, float(left[number] / upto[-1])))
        left[number] = 0.0
    return drawn


def _without_least(items: Sequence[Merged], count: int) -> list[Merged]:
    """The items without those of the least score after the first ones; releases, which are there by promise, last."""

    def worth(at: int) -> tuple[bool, float, str]:
        return "fresh" in items[at].ranks, _finite(items[at].score), items[at].track.track_id

    worst = sorted(range(FIRST, len(items)), key=worth)
    gone = set(worst[:count])
    return [one for at, one in enumerate(items) if at not in gone]


def _finite(score: float) -> float:
    return score if math.isfinite(score) else -math.inf


def _shown(
    items: Sequence[Merged], ordered: Ordered, pool: Sequence[Pooled] = (), pool_features: Array = NO_FEATURES
) -> Shown:
    features = ordered.of(one.track for one in items) if items else NO_FEATURES
    return Shown(tuple(items), features, tuple(pool), pool_features)
