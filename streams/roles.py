"""What each role is made of: its agents, and the parts that roles of one process share."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from models.tables import MODEL
from models.versions import checkpoint_version
from recall.errors import IndexUnavailable
from recall.index.edge import EdgeIndex
from recall.index.protocol import TrackIndex
from recall.merge import WEIGHTS
from recall.pipeline import Recommender
from recall.shelf import Shelf
from recall.texts import TextIndex
from recall.tracks import ACOUSTIC, COOCCURRENCE, IndexedTrack
from streams.agents.catalogue import CatalogueEffects, Known, nothing
from streams.agents.cooccurrence import CooccurrenceEffects
from streams.agents.listening import ListeningEffects
from streams.agents.recommendations import RecommendationAgent
from streams.agents.texts import SetAsideElsewhere, TextEffects
from streams.app import add_agent, create_app
from streams.channels import open_channels
from streams.delivery import ApplyBatch, BatchDelivery, ConcurrentDelivery, DeadLetters, Edge
from streams.embedded.errors import DataDirectoryInUse
from streams.embedded.lock import data_directory
from streams.observing.index import measure_index
from streams.observing.metrics import timed
from streams.plays import PlayBoard
from streams.produce import FaustProducer
from streams.refreshing import Refresher, take_up
from streams.relations import ArtistRelations
from streams.sessions import CaughtUp, SessionCloser
from streams.settings import Settings
from streams.state.catalogue import CatalogueStore
from streams.state.connection import connect
from streams.state.persons import PERSON_EVENT_IDS, PersonStore
from streams.state.popularity import PopularityStore
from streams.state.sessions import SessionStore
from streams.turns import Turns
from streams.vectors import layout_of
from streams.worker import Parts, Role
from topics.records import Artist, Listen, ListeningSession, Playlist, Record, Track
from topics.specs import (
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    LISTENING_EVENTS,
    LISTENING_SESSIONS,
    REQUESTS,
    TopicSpec,
)

log = logging.getLogger(__name__)
R = TypeVar("R", bound=Record)

VECTOR_LENGTHS = {ACOUSTIC: 64, COOCCURRENCE: 64}


@dataclass(frozen=True)
class Pace:
    """How a topic's records are batched: how many at once, collected for how long while more keep coming."""

    batch_max: int
    window_s: float


CATALOGUE_PACE = Pace(512, 0.03)
COOCCURRENCE_PACE = Pace(64, 0.03)
LISTENING_PACE = Pace(PERSON_EVENT_IDS, 0.01)
# A flush holds up answers; kill -9 loses nothing without it, only a power loss would.
FLUSH_S = 30.0
REST_S = 5.0
# So long a catalogue that keeps growing waits for a rest, and so long a failure for another attempt.
PATIENCE_S = 60.0
OPTIMISING, OPTIMISED = "building the search graph", "search graph built"


async def assemble(settings: Settings, roles: Sequence[Role], opened: AsyncExitStack) -> Parts:
    """The parts of a worker with these roles; a part that two roles need is opened once."""
    parts = Parts()
    redis = connect(settings)
    opened.push_async_callback(redis.aclose)
    parts.probes["redis"] = partial(redis.run, [(b"PING",)])
    index: TrackIndex | None = None
    texts: TextIndex | None = None
    known: Known = nothing
    if {"catalogue", "cooccurrence", "recommendations"} & set(roles):
        index = await open_index(settings, parts, opened)
        texts = open_texts(settings, parts, index, opened)
    if "cooccurrence" in roles and index is not None:
        known = await add_cooccurrence(settings, parts, index, opened)
    if "catalogue" in roles and index is not None:
        add_catalogue(settings, parts, index, CatalogueStore(redis, settings), texts, known)
    if "listening" in roles:
        add_listening(settings, parts, redis)
    if "collaborative" in roles:
        parts.background.append(Refresher(settings).run)
    if "recommendations" in roles and index is not None:
        texts = texts or add_texts(settings, parts, opened)
        add_recommendations(settings, parts, index, redis, texts)
    return parts


def index_name(settings: Settings) -> str:
    """The collection of the serving version of the embedding with the declared vectors, without an installation."""
    return f"tracks-{checkpoint_version(settings.embeat_mlp_checkpoint)}{layout_of(settings.declared_vectors)}"


async def open_index(settings: Settings, parts: Parts, opened: AsyncExitStack) -> TrackIndex:
    """The collection of the serving version of the embedding, on a server or in this process."""
    declared, name = settings.declared_vectors, index_name(settings)
    lengths = VECTOR_LENGTHS | {one.name: one.dimension for one in declared}
    index: TrackIndex
    if settings.qdrant_url:
        name = f"{settings.topic_prefix}-{name}" if settings.topic_prefix else name
        from recall.index.server import Server, ServerIndex  # a client that only some installations need

        server = Server(settings.qdrant_url, settings.qdrant_api_key, settings.qdrant_ca_file)
        index = await ServerIndex.connect(server, name, dimensions=lengths)
    else:
        edge = EdgeIndex.open(settings.data_dir / "index" / name, dimensions=lengths)
        parts.background.append(partial(_flush_now_and_then, edge))
        parts.background.append(partial(_optimise_when_grown, edge, settings.optimise_above))
        index = edge
    opened.push_async_callback(index.close)
    parts.probes["index"] = index.count
    parts.background.append(partial(measure_index, index, list(lengths)))
    return index


def open_texts(settings: Settings, parts: Parts, index: TrackIndex, opened: AsyncExitStack) -> TextIndex | None:
    """The titles of an index that is this process's own, beside it and written with it; `None` for a server's."""
    if not isinstance(index, EdgeIndex):
        return None
    texts = TextIndex.open(settings.data_dir / "index" / index_name(settings) / "texts.sqlite3")
    opened.push_async_callback(texts.close)
    parts.background.append(partial(_fill_texts, texts, index))
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


async def add_cooccurrence(settings: Settings, parts: Parts, index: TrackIndex, opened: AsyncExitStack) -> Known:
    """Agents for playlists and sessions, and what learns from them; returns what tells the vectors it has learned.

    The group carries the identity of what was learned: when that is gone, all is read again.
    """
    from streams.learner import open_learner  # a kernel that only this role needs

    learner = await open_learner(settings, index)
    opened.push_async_callback(learner.close)
    parts.background += learner.duties
    parts.models["track2vec"] = learner.version
    effects = CooccurrenceEffects(learner)
    app = create_app(settings, f"cooccurrence.{learner.identity}")
    deliveries = (
        batch_delivery(app, settings, CATALOG_PLAYLISTS, Playlist, effects.apply_playlists, COOCCURRENCE_PACE),
        batch_delivery(app, settings, LISTENING_SESSIONS, ListeningSession, effects.apply_sessions, COOCCURRENCE_PACE),
    )
    for delivery in deliveries:
        add_agent(app, delivery.edge.spec, settings.topic_prefix, delivery.run)
    parts.apps.append(app)
    return learner.known


def add_catalogue(
    settings: Settings,
    parts: Parts,
    index: TrackIndex,
    store: CatalogueStore,
    texts: TextIndex | None,
    known: Known = nothing,
) -> None:
    """Agents for tracks, artists and playlists.

    The group carries the embedding's version and the declared vectors: new ones read the catalogue from its beginning.
    """
    from models.embeat_mlp import load_checkpoint  # torch takes seconds to load, and only this role needs it

    embedder = load_checkpoint(settings.embeat_mlp_checkpoint)
    parts.models["embeat_mlp"] = embedder.version
    declared = settings.declared_vectors
    lengths = {one.name: one.dimension for one in declared}
    effects = CatalogueEffects(index, store, embedder, lengths, texts, known)
    app = create_app(settings, f"catalogue.{embedder.version}{layout_of(declared)}")
    deliveries = (
        batch_delivery(app, settings, CATALOG_TRACKS, Track, effects.apply_tracks, CATALOGUE_PACE),
        batch_delivery(app, settings, CATALOG_ARTISTS, Artist, effects.apply_artists, CATALOGUE_PACE),
        batch_delivery(app, settings, CATALOG_PLAYLISTS, Playlist, effects.apply_playlists, CATALOGUE_PACE),
    )
    for delivery in deliveries:
        add_agent(app, delivery.edge.spec, settings.topic_prefix, delivery.run)
    parts.apps.append(app)


def add_listening(settings: Settings, parts: Parts, redis: Any) -> None:
    """The agent that counts what people do."""
    app = create_app(settings, "listening")
    popularity = PopularityStore(redis, settings)
    sessions = SessionStore(redis, settings)
    effects = ListeningEffects(PersonStore(redis, settings), popularity, sessions)
    delivery = batch_delivery(app, settings, LISTENING_EVENTS, Listen, effects.apply, LISTENING_PACE)
    delivery = dataclasses.replace(delivery, passed_over=popularity.applied_through)
    add_agent(app, LISTENING_EVENTS, settings.topic_prefix, delivery.run)
    parts.apps.append(app)
    parts.background.append(SessionCloser(sessions, CaughtUp(app), FaustProducer(app), settings).run)


def add_recommendations(settings: Settings, parts: Parts, index: TrackIndex, redis: Any, texts: TextIndex) -> None:
    """The agent that answers."""
    app = create_app(settings, "recommendations")
    embeat_mlp = checkpoint_version(settings.embeat_mlp_checkpoint)
    parts.models |= {"embeat_mlp": embeat_mlp, "track2vec": parts.models.get("track2vec"), "bandit": None, MODEL: None}
    producer = FaustProducer(app)
    board = PlayBoard(PopularityStore(redis, settings), index)
    parts.background.append(board.keep_fresh)
    store, shelf = CatalogueStore(redis, settings), Shelf()
    parts.background.append(partial(take_up, settings, shelf, lambda version: parts.models.update({MODEL: version})))
    channels, allowances = open_channels(settings, index, board, ArtistRelations(store), shelf)
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
        ),
        listeners=PersonStore(redis, settings),
        turns=Turns(settings.requests_at_once),
        producer=producer,
        dead_letters=DeadLetters(producer.send, REQUESTS, settings.topic_prefix),
        models=parts.models,
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
    return BatchDelivery(edge, apply, dead_letters, pace.batch_max, pace.window_s, settings.retry_s)


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


async def _flush_now_and_then(index: EdgeIndex) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await index.flush()


async def _optimise_when_grown(index: EdgeIndex, above: int) -> None:
    """Build the search graph anew once many tracks are outside it, at the next rest if one comes soon enough."""
    before, since_s = -1, time.monotonic()
    while True:
        waiting, now_s = index.unoptimised, time.monotonic()
        if waiting < above:
            since_s = now_s
        elif waiting == before or now_s - since_s >= PATIENCE_S:
            await _optimise(index, waiting)
            since_s = time.monotonic()
        before = waiting
        await asyncio.sleep(REST_S)


async def _optimise(index: EdgeIndex, waiting: int) -> None:
    began_s = time.monotonic()
    log.info("%s: %d tracks are outside it", OPTIMISING, waiting)
    try:
        await index.optimise()
    except IndexUnavailable as error:
        # Searches only take longer without it; a full disk, say, is no reason to end.
        log.warning("%s; next attempt in %.0f s", error, PATIENCE_S)
        await asyncio.sleep(PATIENCE_S)
    else:
        log.info("%s: %d tracks in %.1f s", OPTIMISED, waiting, time.monotonic() - began_s)
