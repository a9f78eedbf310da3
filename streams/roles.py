"""What each role is made of: its agents, and the parts that roles of one process share."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from models.tables import MODEL
from recall.index.edge import EdgeIndex
from recall.index.protocol import TrackIndex
from recall.index.switched import SwitchedIndex
from recall.merge import WEIGHTS
from recall.pipeline import Recommender
from recall.shelf import Shelf
from recall.texts import TextIndex
from recall.tracks import IndexedTrack
from streams.agents.catalogue import CatalogueEffects, Embedder, Learned
from streams.agents.cooccurrence import CooccurrenceEffects
from streams.agents.learning import LearningEffects, keep_versions
from streams.agents.listening import ListeningEffects
from streams.agents.recommendations import RecommendationAgent
from streams.agents.texts import TextEffects
from streams.agents.weekly_lists import WeeklyListEffects
from streams.app import add_agent, create_app
from streams.channels import open_channels
from streams.connections import connection_of
from streams.delivery import (
    LULL_S,
    ApplyBatch,
    BatchDelivery,
    ConcurrentDelivery,
    DeadLetters,
    Edge,
    SetAsideElsewhere,
)
from streams.embedded.errors import DataDirectoryInUse
from streams.embedded.lock import data_directory
from streams.embedded.threads import in_thread
from streams.guard import GuardedRanking, RewardGuard
from streams.learner import open_learner
from streams.observing.index import measure_index
from streams.observing.metrics import timed
from streams.past_sessions import PastSessionsFollower
from streams.plays import PlayBoard
from streams.produce import FaustProducer
from streams.ranking import RankingBoard
from streams.refreshing import Refresher, take_up
from streams.relations import ArtistRelations
from streams.serving.announcements import tell_served
from streams.serving.collection import Collection, SomeDeadLetters, SomeTexts, vector_lengths
from streams.serving.live import LiveVersions
from streams.sessions import CaughtUp, SessionCloser
from streams.settings import Settings
from streams.state.catalogue import CatalogueStore
from streams.state.connection import RedisConnection, connect
from streams.state.discoveries import DiscoveryStore
from streams.state.evidence import EvidenceReader, EvidenceWriter
from streams.state.feedback import FeedbackStore
from streams.state.given import GivenStore
from streams.state.persons import PERSON_EVENT_IDS, PersonStore
from streams.state.popularity import PopularityStore
from streams.state.rankings import RankingStore
from streams.state.sessions import SessionStore
from streams.state.settling import Settling
from streams.turns import Turns
from streams.worker import Parts, Role
from topics.connection import BrokerUnavailable
from topics.errors import PublishFailed
from topics.records import Artist, Listen, ListeningSession, Playlist, Record, Served, Track, WeeklyPlaylist
from topics.specs import (
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    LISTENING_EVENTS,
    LISTENING_SESSIONS,
    PLAYLISTS_WEEKLY,
    REQUESTS,
    SERVED,
    TopicSpec,
    full_name,
)

log = logging.getLogger(__name__)
R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Pace:
    """How a topic's records are batched: how many at once, collected for how long while more keep coming.

    Attributes:
        lull_s: no record for so long, and no more are waited for.
    """

    batch_max: int
    window_s: float
    lull_s: float = LULL_S


CATALOGUE_PACE = Pace(512, 0.03)
# What fills a collection beside the one that serves leaves more time to answers.
FILLING_PACE = Pace(128, 0.03)
COOCCURRENCE_PACE = Pace(64, 0.03)
LISTENING_PACE = Pace(PERSON_EVENT_IDS, 0.01)
LISTS_PACE = Pace(64, 0.03)
# A list by itself costs many times what it costs among others, on the core that the next answer could have had; what is
# learnt is due within a second.
LEARNING_PACE = Pace(512, 0.2, lull_s=0.2)


async def assemble(settings: Settings, roles: Sequence[Role], opened: AsyncExitStack) -> Parts:
    """The parts of a worker with these roles; a part that two roles need is opened once."""
    parts = Parts()
    redis = connect(settings)
    opened.push_async_callback(redis.aclose)
    parts.probes["redis"] = partial(redis.run, [(b"PING",)])
    versions: LiveVersions | None = None
    texts: TextIndex | None = None
    learned: Learned | None = None
    if {"catalogue", "cooccurrence", "recommendations"} & set(roles):
        versions = await open_versions(settings, parts, roles, opened)
        texts = open_texts(settings, parts, versions.index, opened)
    if "cooccurrence" in roles and versions is not None:
        learned = await add_cooccurrence(settings, parts, versions.index, redis, opened)
    if "catalogue" in roles and versions is not None:
        store = CatalogueStore(redis, settings)
        await versions.fill_with(partial(attach_catalogue, settings, versions, store, texts, learned))
    if "listening" in roles:
        add_listening(settings, parts, redis)
    if "learning" in roles:
        add_learning(settings, parts, redis)
    if "collaborative" in roles:
        parts.background.append(Refresher(settings).run)
    if "recommendations" in roles and versions is not None:
        texts = texts or add_texts(settings, parts, opened)
        add_recommendations(settings, parts, versions.index, redis, texts)
    return parts


async def open_versions(
    settings: Settings, parts: Parts, roles: Sequence[Role], opened: AsyncExitStack
) -> LiveVersions:
    """The index of the version of the embedding that serves, and whatever makes another one ready to."""
    versions = LiveVersions(settings, parts, reads="catalogue" in roles)
    opened.push_async_callback(versions.close)
    await versions.begin()
    parts.probes["index"] = versions.index.count
    parts.background.append(partial(measure_index, versions.index, list(vector_lengths(settings))))
    parts.background.append(versions.run)
    return versions


def open_texts(settings: Settings, parts: Parts, index: SwitchedIndex, opened: AsyncExitStack) -> TextIndex | None:
    """The titles of an index that is this process's own, beside it and written with it; `None` for a server's."""
    serving = index.of(index.version)
    if not isinstance(serving, EdgeIndex):
        return None
    texts = TextIndex.open(settings.data_dir / "index" / "texts.sqlite3")
    opened.push_async_callback(texts.close)
    parts.background.append(partial(_fill_texts, texts, serving))
    return texts


def add_texts(settings: Settings, parts: Parts, opened: AsyncExitStack) -> TextIndex:
    """Titles of its own for a worker that answers from a server's index, and an agent that reads all of the catalogue.

    The group is that of the file that it keeps: no two workers share the catalogue out among them, and a new file is
    filled from the beginning.
    """
    texts = TextIndex.open(_folder_of_ones_own(settings.data_dir / "texts", opened) / "texts.sqlite3")
    opened.push_async_callback(texts.close)
    effects = TextEffects(texts)
    app = create_app(settings, f"texts.{texts.identity}")
    deliveries = (
        batch_delivery(app, settings, CATALOG_TRACKS, Track, effects.apply_tracks, CATALOGUE_PACE),
        batch_delivery(app, settings, CATALOG_ARTISTS, Artist, effects.apply_artists, CATALOGUE_PACE),
    )
    for one in deliveries:
        delivery = dataclasses.replace(one, dead_letters=SetAsideElsewhere())
        add_agent(app, delivery.edge.spec, settings.topic_prefix, delivery.run)
    parts.apps.append(app)
    return texts


async def add_cooccurrence(
    settings: Settings, parts: Parts, index: TrackIndex, redis: RedisConnection, opened: AsyncExitStack
) -> Learned:
    """Agents for playlists and sessions, and what learns from them; returns the latter.

    The group carries the identity of what was learned: when that is gone, all is read again.
    """
    learner = await open_learner(settings, index)
    opened.push_async_callback(learner.close)
    parts.background += [*learner.duties, partial(Settling(redis, settings).keep_told, learner.brought)]
    parts.models["track2vec"] = learner.version
    effects = CooccurrenceEffects(learner)
    app = create_app(settings, f"cooccurrence.{learner.identity}")
    playlists = batch_delivery(app, settings, CATALOG_PLAYLISTS, Playlist, effects.apply_playlists, COOCCURRENCE_PACE)
    deliveries = (
        dataclasses.replace(playlists, dead_letters=SetAsideElsewhere()),  # by the role catalogue
        batch_delivery(app, settings, LISTENING_SESSIONS, ListeningSession, effects.apply_sessions, COOCCURRENCE_PACE),
    )
    for delivery in deliveries:
        add_agent(app, delivery.edge.spec, settings.topic_prefix, delivery.run)
    parts.apps.append(app)
    return learner


def attach_catalogue(
    settings: Settings,
    versions: LiveVersions,
    store: CatalogueStore,
    texts: TextIndex | None,
    learned: Learned | None,
    collection: Collection,
    embedder: Embedder,
) -> None:
    """Agents for tracks, artists and playlists, which fill one collection.

    The group is called as the collection: a new one reads the catalogue from its beginning.
    """
    effects = CatalogueEffects(
        collection.index,
        store,
        embedder,
        {one.name: one.dimension for one in settings.declared_vectors},
        SomeTexts(texts, collection) if texts else None,
        learned,
        partial(versions.elder_of, collection),
    )
    app = create_app(settings, f"catalogue.{collection.name}")

    def delivery(spec: TopicSpec, record_type: type[R], apply: ApplyBatch[R]) -> BatchDelivery[R]:
        pace = CATALOGUE_PACE if collection.heard else FILLING_PACE
        made = batch_delivery(app, settings, spec, record_type, collection.noting(apply), pace)
        dead_letters = SomeDeadLetters(FaustProducer(app).send, spec, settings.topic_prefix)
        dead_letters.collection = collection
        return dataclasses.replace(made, dead_letters=dead_letters)

    for made in (
        delivery(CATALOG_TRACKS, Track, effects.apply_tracks),
        delivery(CATALOG_ARTISTS, Artist, effects.apply_artists),
        delivery(CATALOG_PLAYLISTS, Playlist, effects.apply_playlists),
    ):
        add_agent(app, made.edge.spec, settings.topic_prefix, made.run)
    collection.app = app


def add_listening(settings: Settings, parts: Parts, redis: Any) -> None:
    """Agents that count what people do, and know the lists that they were given."""
    app = create_app(settings, "listening")
    popularity = PopularityStore(redis, settings)
    sessions = SessionStore(redis, settings)
    effects = ListeningEffects(PersonStore(redis, settings), popularity, sessions)
    delivery = batch_delivery(app, settings, LISTENING_EVENTS, Listen, effects.apply, LISTENING_PACE)
    delivery = dataclasses.replace(delivery, passed_over=popularity.applied_through)
    add_agent(app, LISTENING_EVENTS, settings.topic_prefix, delivery.run)
    given = WeeklyListEffects(GivenStore(redis, settings))
    lists = batch_delivery(app, settings, PLAYLISTS_WEEKLY, WeeklyPlaylist, given.apply, LISTS_PACE)
    add_agent(app, PLAYLISTS_WEEKLY, settings.topic_prefix, lists.run)
    parts.apps.append(app)
    caught_up = CaughtUp(app, full_name(LISTENING_EVENTS, settings.topic_prefix))
    parts.background.append(SessionCloser(sessions, caught_up, FaustProducer(app), settings).run)


def add_learning(settings: Settings, parts: Parts, redis: Any) -> None:
    """Agents for what was shown and for what followed, from which the ranking learns."""
    app = create_app(settings, "learning")
    versions = RankingStore(redis, settings)
    effects = LearningEffects(
        FeedbackStore(redis, settings),
        DiscoveryStore(redis, settings),
        EvidenceWriter(redis, settings),
        GuardedRanking(partial(in_thread, RewardGuard), versions, partial(_tell_rolled_back, settings)),
    )
    every_s = 3600 * settings.ranking_version_hours
    parts.background.append(partial(keep_versions, EvidenceReader(redis, settings), versions, every_s))
    served = batch_delivery(app, settings, SERVED, Served, effects.apply_served, LEARNING_PACE)
    # An anonymous answer's key is its request.
    served = dataclasses.replace(served, edge=Edge(SERVED, Served, None))
    events = batch_delivery(app, settings, LISTENING_EVENTS, Listen, effects.apply_events, LEARNING_PACE)
    for one in (served, events):
        delivery = dataclasses.replace(one, dead_letters=SetAsideElsewhere())
        add_agent(app, delivery.edge.spec, settings.topic_prefix, delivery.run)
    parts.apps.append(app)


async def _tell_rolled_back(settings: Settings, version: str) -> None:
    """Announce the version of the ranking that serves; it does whether that is heard or not."""
    tell = partial(tell_served, connection_of(settings), settings.topic_prefix, "bandit", version, by_operator=False)
    try:
        await in_thread(tell)
    except (BrokerUnavailable, PublishFailed) as error:
        log.warning("that ranking %s serves is not announced: %s", version, error)


def add_recommendations(settings: Settings, parts: Parts, index: SwitchedIndex, redis: Any, texts: TextIndex) -> None:
    """The agent that answers."""
    app = create_app(settings, "recommendations")
    parts.models |= {"track2vec": parts.models.get("track2vec"), "bandit": None, MODEL: None}
    producer = FaustProducer(app)
    board = PlayBoard(PopularityStore(redis, settings), index)
    parts.background.append(board.keep_fresh)
    store, shelf = CatalogueStore(redis, settings), Shelf()
    ranking = RankingBoard(EvidenceReader(redis, settings), RankingStore(redis, settings), settings)
    parts.background.append(ranking.keep_fresh)
    parts.background.append(partial(take_up, settings, shelf, lambda version: parts.models.update({MODEL: version})))
    past = PastSessionsFollower(settings)
    parts.background.append(past.run)
    channels, allowances = open_channels(settings, index, board, ArtistRelations(store), shelf, past)
    agent = RecommendationAgent(
        recommender=Recommender(
            index,
            store,
            channels,
            timed=timed,
            weights={**WEIGHTS, **{one.name: one.weight for one in settings.declared_vectors}},
            allowances=allowances,
            shelf=shelf,
            texts=texts,
            policy=ranking.policy,
            sessions=settings.session == "on",
        ),
        listeners=PersonStore(redis, settings),
        turns=Turns(settings.requests_at_once),
        producer=producer,
        dead_letters=DeadLetters(producer.send, REQUESTS, settings.topic_prefix),
        models=parts.models,
        pinned=index.pinned,
        prefix=settings.topic_prefix,
        reply_topics=settings.reply_beginnings,
        deadline_ms=settings.deadline_ms,
        event_partitions=settings.partitions or LISTENING_EVENTS.partitions,
    )
    delivery = ConcurrentDelivery(agent.handle, agent.shed, settings.requests_waiting)
    add_agent(app, REQUESTS, settings.topic_prefix, delivery.run)
    parts.apps.append(app)


def batch_delivery(
    app: Any, settings: Settings, spec: TopicSpec, record_type: type[R], apply: ApplyBatch[R], pace: Pace
) -> BatchDelivery[R]:
    """How a topic's records reach `apply`; on a compacted topic a null value is a withdrawal."""
    withdraws = spec.cleanup == "compact"
    edge = Edge(spec, record_type, lambda record: str(getattr(record, spec.key)), allow_null=withdraws)
    dead_letters = DeadLetters(FaustProducer(app).send, spec, settings.topic_prefix)
    return BatchDelivery(edge, apply, dead_letters, pace.batch_max, pace.window_s, settings.retry_s, pace.lull_s)


async def _fill_texts(texts: TextIndex, index: EdgeIndex) -> None:
    """Give the titles what only the index has: all of one from before there were titles, a few after a power loss."""
    if texts.count() < await index.count():
        log.info("titles are read from the index")
        async for page in index.pages():
            await texts.put([IndexedTrack(track) for track in page], only_new=True)
        log.info("titles of %d tracks", texts.count())
    await asyncio.Event().wait()


def _folder_of_ones_own(parent: Path, opened: AsyncExitStack) -> Path:
    """The first of the folders 0, 1, ... that no other worker on this data directory has."""
    for number in count():
        with suppress(DataDirectoryInUse):
            return opened.enter_context(data_directory(parent / str(number)))
    raise AssertionError("numbers do not end")
