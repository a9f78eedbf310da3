"""What each role is made of: its agents, and the parts that roles of one process share."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from models.versions import checkpoint_version
from recall.channels import Acoustic, Channel, Fresh, GenrePopular, SameArtist
from recall.index.edge import EdgeIndex
from recall.index.protocol import TrackIndex
from recall.merge import WEIGHTS
from recall.pipeline import Recommender
from recall.tracks import ACOUSTIC, COOCCURRENCE
from streams.agents.catalogue import CatalogueEffects
from streams.agents.listening import ListeningEffects
from streams.agents.recommendations import RecommendationAgent
from streams.app import add_agent, create_app
from streams.delivery import ApplyBatch, BatchDelivery, ConcurrentDelivery, DeadLetters, Edge
from streams.observing.index import measure_index
from streams.observing.metrics import timed
from streams.plays import PlayBoard
from streams.produce import FaustProducer
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
from topics.records import Artist, Listen, Playlist, Record, Track
from topics.specs import (
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    LISTENING_EVENTS,
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
LISTENING_PACE = Pace(PERSON_EVENT_IDS, 0.01)
# A flush holds up answers; kill -9 loses nothing without it, only a power loss would.
FLUSH_S = 30.0
REST_S = 5.0
OPTIMISED = "search graph built"


async def assemble(settings: Settings, roles: Sequence[Role], opened: AsyncExitStack) -> Parts:
    """The parts of a worker with these roles; a part that two roles need is opened once."""
    parts = Parts()
    redis = connect(settings)
    opened.push_async_callback(redis.aclose)
    parts.probes["redis"] = partial(redis.run, [(b"PING",)])
    index: TrackIndex | None = None
    if {"catalogue", "recommendations"} & set(roles):
        index = await open_index(settings, parts, opened)
    if "catalogue" in roles and index is not None:
        add_catalogue(settings, parts, index, CatalogueStore(redis, settings))
    if "listening" in roles:
        add_listening(settings, parts, redis)
    if "recommendations" in roles and index is not None:
        add_recommendations(settings, parts, index, redis)
    return parts


async def open_index(settings: Settings, parts: Parts, opened: AsyncExitStack) -> TrackIndex:
    """The collection of the serving version of the embedding, on a server or in this process."""
    declared = settings.declared_vectors
    name = f"tracks-{checkpoint_version(settings.embeat_mlp_checkpoint)}{layout_of(declared)}"
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
    parts.background.append(partial(measure_index, index))
    return index


def add_catalogue(settings: Settings, parts: Parts, index: TrackIndex, store: CatalogueStore) -> None:
    """Agents for tracks, artists and playlists.

    The group carries the embedding's version and the declared vectors: new ones read the catalogue from its beginning.
    """
    from models.embeat_mlp import load_checkpoint  # torch takes seconds to load, and only this role needs it

    embedder = load_checkpoint(settings.embeat_mlp_checkpoint)
    parts.models["embeat_mlp"] = embedder.version
    declared = settings.declared_vectors
    effects = CatalogueEffects(index, store, embedder, {one.name: one.dimension for one in declared})
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


def add_recommendations(settings: Settings, parts: Parts, index: TrackIndex, redis: Any) -> None:
    """The agent that answers."""
    app = create_app(settings, "recommendations")
    embeat_mlp = checkpoint_version(settings.embeat_mlp_checkpoint)
    parts.models |= {"embeat_mlp": embeat_mlp, "track2vec": None, "bandit": None}
    producer = FaustProducer(app)
    board = PlayBoard(PopularityStore(redis, settings), index)
    parts.background.append(board.keep_fresh)
    channels: list[Channel] = [Acoustic(index), SameArtist(index), Fresh(index), GenrePopular(index, board)]
    channels += [Acoustic(index, one.name) for one in settings.declared_vectors]
    weights = {**WEIGHTS, **{one.name: one.weight for one in settings.declared_vectors}}
    agent = RecommendationAgent(
        recommender=Recommender(index, CatalogueStore(redis, settings), channels, timed=timed, weights=weights),
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


async def _flush_now_and_then(index: EdgeIndex) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await index.flush()


async def _optimise_when_grown(index: EdgeIndex, above: int) -> None:
    """Build the search graph anew once many tracks are outside it and the catalogue has come to rest."""
    before = -1
    while True:
        waiting = index.unoptimised
        if waiting >= above and waiting == before:
            began_s = time.monotonic()
            await index.optimise()
            log.info("%s: %d tracks in %.1f s", OPTIMISED, waiting, time.monotonic() - began_s)
        before = waiting
        await asyncio.sleep(REST_S)
