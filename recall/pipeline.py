"""From a request to a list: the steps of an answer, read aloud."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import msgspec
import numpy as np

from recall.blends import blended, kind_of
from recall.channels.protocol import UNBOUNDED, Allowance, Candidate, Channel
from recall.diversity import balance_of, choose, with_news
from recall.duplicates import one_release_each
from recall.errors import ChannelUnavailable, UnknownSeed
from recall.exploration import NONE_SHOWN, Shown, explore, rate_of, rng_of
from recall.filters import Sifted, contradictions, forbidden, why_short
from recall.index.protocol import TrackIndex
from recall.judged import judged
from recall.leaning import leaning
from recall.lexicon import Target, together
from recall.merge import WEIGHTS, Merged, fuse
from recall.mixes import mixes
from recall.order import in_order
from recall.person import Person
from recall.policy import UNLEARNED, Policy, reorder
from recall.query import DEFAULT_LIMIT, RecallQuery, Start, build_query, pushed_down
from recall.rank import rank
from recall.ranking_features import Scene
from recall.scored import Scored
from recall.seeds import (
    Playlists,
    SeedTracks,
    anchors_by_weight,
    describe,
    describe_trouble,
    find,
    starts_of_person,
    starts_of_seeds,
    told,
    unknown,
)
from recall.session import Mood, merged_session, mood
from recall.shelf import Shelf
from recall.spacing import spread
from recall.streak import skipped_in_a_row, turned_away
from recall.surfaces import DEFAULT_SURFACE, Surface, surface_of
from recall.texts.matches import Texts
from recall.tracks import ACOUSTIC, COOCCURRENCE, CataloguedTrack, IndexedTrack, Vector
from topics.records import Listen, ListeningContext, RecommendationRequest, Understood

# Candidates asked of each channel, and ranked, per track of the answer: first few, and many when that leaves it short,
# because most were heard or filtered.
SHALLOW, DEEP = 1.5, 20
LEAST = 45
# With a prior to choose among them, and to explore, more candidates are worth looking at.
FURTHER = 2


@dataclass(frozen=True)
class Answer:
    """The tracks in their order, what is missing from the work that chose them, and what else to say of the list.

    Attributes:
        policy: version of the ranking.
        listener: how well its listener is known.
        blend: how much each channel counted; `None` where that was not to be chosen.
    """

    shown: Shown = NONE_SHOWN
    degraded: tuple[str, ...] = ()
    understood: tuple[Understood, ...] = ()
    notes: tuple[str, ...] = ()
    policy: str = UNLEARNED.version
    listener: str | None = None
    blend: str | None = None

    @property
    def items(self) -> tuple[Merged, ...]:
        """The tracks."""
        return self.shown.items


@dataclass(frozen=True)
class Beginning:
    """What the request and its person resolve to in the catalogue.

    Attributes:
        request: with its filters narrowed to what its words ask for.
        held: tracks that its seeds stand for or hold.
        skipped: in a row, the latest first.
        none: why there can be no list.
    """

    request: RecommendationRequest
    query: RecallQuery
    held: AbstractSet[str]
    understood: tuple[Understood, ...]
    felt: Mood
    missing: tuple[str, ...]
    disliked: tuple[CataloguedTrack, ...]
    skipped: tuple[IndexedTrack, ...] = ()
    none: str | None = None


# Measures a stage for the length of a block: `starts`, each channel by its name, `rank`.
Timed = Callable[[str], AbstractContextManager[object]]


def untimed(stage: str) -> AbstractContextManager[object]:
    """Nobody wants to know."""
    return nullcontext()


@dataclass(frozen=True)
class Recommender:
    """Answers requests from one catalogue.

    Attributes:
        allowances: channel -> what it may take, where that is bounded.
        timed: is told how long the stages take.
        weights: of the channels.
        shelf: holds the tables behind some of the channels, whose prior judges the candidates of all of them.
        texts: the catalogue's titles and names; without them free text means nothing.
        policy: gives the ranking that serves a person now.
        sessions: whether what was heard just now moves a list.
    """

    index: TrackIndex
    playlists: Playlists
    channels: Sequence[Channel]
    timed: Timed = untimed
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    allowances: Mapping[str, Allowance] = field(default_factory=dict)
    shelf: Shelf = field(default_factory=Shelf)
    texts: Texts | None = None
    policy: Callable[[str | None], Policy] = lambda user_id: UNLEARNED
    sessions: bool = True

    async def answer(self, request: RecommendationRequest, person: Person, *, now_ms: int, deadline_s: float) -> Answer:
        """The list for one request.

        Args:
            request: what was asked.
            person: what is known of the listener.
            now_ms: the time.
            deadline_s: on the event loop's clock; channels that are later are left out and named.

        Raises:
            UnknownSeed: there are seeds, and the catalogue holds none of them.
            IndexUnavailable: the catalogue cannot be read at all.
        """
        if impossible := contradictions(request.filters):
            return Answer(notes=tuple(impossible))
        person = with_session(person, request.session or ())
        with self.timed("starts"):
            begun = await self._begin(request, person, now_ms)
        if begun.none is not None:
            return Answer(NONE_SHOWN, begun.missing, begun.understood, (begun.none,))
        starts = [start.track for start in begun.query.starts]
        rules = forbidden(begun.request, person, starts, begun.disliked, held=begun.held, now_ms=now_ms)
        surface, limit = surface_of(request.surface), request.limit or DEFAULT_LIMIT
        policy, listener, name = self.policy(request.user_id), kind_of(person), request.surface or DEFAULT_SURFACE
        blend = policy.blend(name, listener, request)
        weights = blended(surface.weighed(self.weights), blend)
        balance = balance_of(
            limit, surface, starts if begun.query.seeded else (), request.max_per_artist, begun.query.breadth
        )
        rate = request.exploration
        if rate is None:
            rate = policy.explores * rate_of(name, person, begun.query.starts, now_ms=now_ms)
        for depth in (SHALLOW, DEEP):
            asked = max(surface.candidates, round(depth * limit))
            found, late = await self._gather(begun.query, surface, asked, deadline_s)
            with self.timed("rank"):
                judges = self.shelf.judges(begun.query)
                most = max(asked, FURTHER * round(SHALLOW * limit)) if judges or rate > 0 else asked
                sifted = Sifted(fuse(found, weights), rules)
                distinct = await self._judged(begun.query, Scored.of(one_release_each(sifted, most)))
                vectors = await self._vectors(distinct.tracks)
                distinct = await self._turned_away(distinct, vectors, begun.skipped)
                scene = self._scene(begun, vectors, person, request.context)
                ordered = reorder(rank(distinct, vectors, begun.felt), scene, policy)
                wanted = with_news(balance, releases_in(distinct.candidates)) if starts else balance
                # What is there only to be explored is in no other place of the list.
                offered = ordered.ranked if judges else among(ordered.ranked, distinct.tracks[:asked])
                chosen = choose(offered, vectors, wanted)
                items = arranged(chosen, vectors, surface)
            if len(items) == limit or not self._more_to_find(found, asked):
                break
        short = len(items) < limit
        notes = (why_short(len(items), limit, sifted.removed, begun.request.filters),) if short else ()
        with self.timed("explore"):
            shown = explore(items, ordered, policy, begun.query, rate, rng_of(request.request_id))
        missing = begun.missing + late
        return Answer(shown, missing, begun.understood, notes, policy.version, listener, blend)

    def _scene(
        self, begun: Beginning, vectors: Mapping[str, Vector], person: Person, context: ListeningContext | None
    ) -> Scene:
        """What the ranking is told of a request."""
        session, followed = person.session if self.sessions else (), frozenset(person.followed_artists)
        by_lists = partial(self.shelf.by_lists, begun.query, begun.query.leaning.weights)
        return Scene(begun.query, vectors, person.heard, followed, context, session, by_lists)

    async def _begin(self, request: RecommendationRequest, person: Person, now_ms: int) -> Beginning:
        asked = dict.fromkeys(request.seeds or ())
        seeds = await asyncio.gather(*(find(seed, self.index, self.playlists, self.texts) for seed in asked))
        anchors = [] if seeds else anchors_by_weight(person, now_ms=now_ms)
        session = merged_session(person.session, ())
        known = await self._known(seeds, [*(anchor.track_id for anchor in anchors), *person.dislikes], session)
        starts = starts_of_seeds(seeds, known) if seeds else starts_of_person(anchors, known, person)
        starts, none = starts_of_mix(starts, request)
        missing = unknown(seeds, known)
        if seeds and len(missing) == len(seeds):
            got = ", ".join(map(describe_trouble, missing))
            raise UnknownSeed(f"expected seeds that the catalogue holds, got {got}")
        target = together([one.target for one in seeds if one.target], self.texts)
        if target:
            target, request = await self._narrowed(target, request, person)
        heard = session if self.sessions else ()
        artists, words = [one.artist_id for one in seeds if one.artist_id], target.words if target else None
        return Beginning(
            request,
            build_query(
                request, person, starts, artists, now_ms=now_ms, described=words, leaning=leaning(heard, known)
            ),
            {track_id for one in seeds for track_id in (*one.track_ids, *one.also)},
            (*(one.understood for one in seeds if one.understood), *([told(target)] if target else ())),
            mood(heard, known),
            tuple(f"seed:{describe(one.seed)}" for one in missing),
            tuple(known[track_id].track for track_id in person.dislikes if track_id in known),
            tuple(known[track_id] for track_id in skipped_in_a_row(heard) if track_id in known),
            none,
        )

    async def _narrowed(
        self, wanted: Target, request: RecommendationRequest, person: Person
    ) -> tuple[Target, RecommendationRequest]:
        """The request with what its words ask for among its filters, as strictly as leaves enough tracks."""
        enough = min(LEAST, request.limit or DEFAULT_LIMIT)
        for target in wanted.widened():
            filters = target.narrow(request.filters)
            if len(await self.index.matching(pushed_down(filters, person), enough)) >= enough:
                break
        return target, msgspec.structs.replace(request, filters=filters)

    async def _known(
        self, seeds: Sequence[SeedTracks], others: Sequence[str], session: Sequence[Listen]
    ) -> dict[str, IndexedTrack]:
        wanted = dict.fromkeys(track_id for seed in seeds for track_id in seed.track_ids)
        wanted |= dict.fromkeys(others)
        wanted |= dict.fromkeys(event.track_id for event in session if event.track_id)
        return await self.index.fetch(list(wanted), with_vectors=True) if wanted else {}

    async def _gather(
        self, query: RecallQuery, surface: Surface, limit: int, deadline_s: float
    ) -> tuple[dict[str, list[Candidate]], tuple[str, ...]]:
        """What each channel found in time, and the names of those that did not."""
        tasks = {
            channel.name: asyncio.create_task(self._in_time(channel, query, limit, deadline_s))
            for channel in self.channels
            if surface.asks(channel.name)
        }
        left_s = max(0.0, deadline_s - asyncio.get_running_loop().time())
        _, late = await asyncio.wait(tasks.values(), timeout=left_s)
        for task in late:
            task.cancel()
        found: dict[str, list[Candidate]] = {}
        degraded = []
        for name, task in tasks.items():
            if task in late or isinstance(task.exception(), ChannelUnavailable):
                degraded.append(name)
            else:
                found[name] = task.result()
        return found, tuple(degraded)

    def _more_to_find(self, found: Mapping[str, Sequence[Candidate]], asked: int) -> bool:
        """Whether a channel found all that it was asked for, so that it may know more."""
        return any(len(some) >= self._allowance(name).of(asked) for name, some in found.items())

    def _allowance(self, name: str) -> Allowance:
        return self.allowances.get(name, UNBOUNDED)

    async def _in_time(self, channel: Channel, query: RecallQuery, limit: int, deadline_s: float) -> list[Candidate]:
        if asyncio.get_running_loop().time() >= deadline_s:
            raise ChannelUnavailable(f"no time left for {channel.name}")
        bounds = self._allowance(channel.name)
        try:
            with self.timed(f"channel:{channel.name}"):
                # A bound takes a timer, though most channels have none.
                async with nullcontext() if bounds.within_s is None else asyncio.timeout(bounds.within_s):
                    return await channel.candidates(query, bounds.of(limit))
        except TimeoutError as error:
            raise ChannelUnavailable(f"{channel.name} took longer than {bounds.within_s} s") from error

    async def _judged(self, query: RecallQuery, candidates: Scored) -> Scored:
        """The candidates with what the prior says of them, where there is one for this query."""
        if not candidates or not self.shelf.judges(query):
            return candidates
        newcomers = self.shelf.newcomers(query, candidates.tracks)
        vectors = await self.index.vectors(newcomers) if newcomers else {}
        return judged(candidates, self.shelf.scores(query, candidates.tracks, vectors))

    async def _vectors(self, tracks: Sequence[CataloguedTrack], using: str = ACOUSTIC) -> Mapping[str, Vector]:
        return await self.index.vectors([track.track_id for track in tracks], using=using) if tracks else {}

    async def _turned_away(
        self, candidates: Scored, sounds: Mapping[str, Vector], skipped: Sequence[IndexedTrack]
    ) -> Scored:
        """The candidates with what a streak of skips costs them; nobody else has another look at the index."""
        if not skipped:
            return candidates
        lists = await self._vectors(candidates.tracks, COOCCURRENCE)
        return turned_away(candidates, skipped, {ACOUSTIC: sounds, COOCCURRENCE: lists})


def releases_in(candidates: Sequence[Merged]) -> list[str]:
    """Ids of the new releases among them, the latest first."""
    fresh = [(one.ranks["fresh"], one.track.track_id) for one in candidates if "fresh" in one.ranks]
    return [track_id for _, track_id in sorted(fresh)]


def among(ranked: Scored, some: Sequence[CataloguedTrack]) -> Scored:
    """Those of the ranked that are some of these, in their order."""
    wanted = {track.track_id for track in some}
    return ranked.take(np.flatnonzero([track.track_id in wanted for track in ranked.tracks]))


def arranged(chosen: Sequence[Merged], vectors: Mapping[str, Vector], surface: Surface) -> list[Merged]:
    """The chosen tracks in the order to show them in."""
    if surface.in_order:
        chosen = [chosen[place] for place in in_order([one.track for one in chosen], vectors)]
    return spread(chosen)


def starts_of_mix(starts: list[Start], request: RecommendationRequest) -> tuple[list[Start], str | None]:
    """The starts of the mix that is asked for, where a surface has several; or why there is none."""
    if request.seeds or not starts or not surface_of(request.surface).by_pocket:
        return starts, None
    found, number = mixes(starts), request.mix or 0
    if number < len(found):
        return list(found[number]), None
    return [], f"0 tracks: expected a mix from 0 to {len(found) - 1}, got {number}"


def with_session(person: Person, given: Sequence[Listen]) -> Person:
    """The person as if the caller's own events had already counted."""
    if not given:
        return person
    heard = {
        event.track_id: event.occurred_at_ms for event in given if event.kind in ("play", "skip") and event.track_id
    }
    disliked = {event.track_id for event in given if event.kind == "dislike" and event.track_id}
    blocked = {event.artist_id for event in given if event.kind == "block_artist" and event.artist_id}
    return msgspec.structs.replace(
        person,
        heard=person.heard | heard,
        dislikes=person.dislikes | disliked,
        blocked_artists=person.blocked_artists | blocked,
        session=tuple(merged_session(person.session, given)),
    )
