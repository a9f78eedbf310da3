"""What each role is made of: its agents, and the parts that roles of one process share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from recall.channels import Acoustic, Channel, Fresh, GenrePopular, SameArtist
from recall.index.switched import SwitchedIndex
from recall.merge import WEIGHTS
from recall.pipeline import Recommender
from streams.agents.catalogue import CatalogueEffects
from streams.agents.listening import ListeningEffects
from streams.agents.recommendations import RecommendationAgent
from streams.app import add_agent, create_app
from streams.delivery import ApplyBatch, BatchDelivery, ConcurrentDelivery, DeadLetters, Edge
from streams.observing.index import measure_index
from streams.observing.metrics import timed
from streams.plays import PlayBoard
from streams.produce import FaustProducer
from streams.serving.collection import Collection, SomeDeadLetters, vector_lengths
from streams.serving.live import LiveVersions
from streams.settings import Settings
from streams.state.catalogue import CatalogueStore
from streams.state.connection import connect
from streams.state.persons import PERSON_EVENT_IDS, PersonStore
from streams.state.popularity import PopularityStore
from streams.turns import Turns
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

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Pace:
    """How a topic's records are batched: how many at once, collected for how long while more keep coming."""

    batch_max: int
    window_s: float


CATALOGUE_PACE = Pace(512, 0.03)
# What fills a collection beside the one that serves leaves more time to answers.
FILLING_PACE = Pace(128, 0.03)
LISTENING_PACE = Pace(PERSON_EVENT_IDS, 0.01)


async def assemble(settings: Settings, roles: Sequence[Role], opened: AsyncExitStack) -> Parts:
    """The parts of a worker with these roles; a part that two roles need is opened once."""
    parts = Parts()
    redis = connect(settings)
    opened.push_async_callback(redis.aclose)
    parts.probes["redis"] = partial(redis.run, [(b"PING",)])
    if {"catalogue", "recommendations"} & set(roles):
        index = await open_versions(settings, parts, roles, CatalogueStore(redis, settings), opened)
        if "recommendations" in roles:
            add_recommendations(settings, parts, index, redis)
    if "listening" in roles:
        add_listening(settings, parts, redis)
    return parts


async def open_versions(
    settings: Settings, parts: Parts, roles: Sequence[Role], store: CatalogueStore, opened: AsyncExitStack
) -> SwitchedIndex:
    """The index of the version of the embedding that serves, and whatever makes another one ready to."""
    parts.models |= {"embeat_mlp": None}
    versions = LiveVersions(settings, parts, None)
    if "catalogue" in roles:
        versions.attach = partial(attach_catalogue, settings, store, versions)
    opened.push_async_callback(versions.close)
    index = await versions.begin()
    parts.probes["index"] = index.count
    parts.background.append(partial(measure_index, index, list(vector_lengths(settings))))
    parts.background.append(versions.run)
    return index


def attach_catalogue(
    settings: Settings, store: CatalogueStore, versions: LiveVersions, collection: Collection, weights: Path
) -> None:
    """Agents for tracks, artists and playlists, which fill one collection.

    The group is called as the collection: a new one reads the catalogue from its beginning.
    """
    from models.embeat_mlp import load_checkpoint  # torch takes seconds to load, and only this role needs it

    declared = {one.name: one.dimension for one in settings.declared_vectors}
    effects = CatalogueEffects(
        collection.index, store, load_checkpoint(weights), declared, elder=partial(versions.elder_of, collection)
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
    """The agent that counts what people do."""
    app = create_app(settings, "listening")
    popularity = PopularityStore(redis, settings)
    effects = ListeningEffects(PersonStore(redis, settings), popularity)
    delivery = batch_delivery(app, settings, LISTENING_EVENTS, Listen, effects.apply, LISTENING_PACE)
    delivery = dataclasses.replace(delivery, passed_over=popularity.applied_through)
    add_agent(app, LISTENING_EVENTS, settings.topic_prefix, delivery.run)
    parts.apps.append(app)


def add_recommendations(settings: Settings, parts: Parts, index: SwitchedIndex, redis: Any) -> None:
    """The agent that answers."""
    app = create_app(settings, "recommendations")
    parts.models |= {"track2vec": None, "bandit": None}
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
    return BatchDelivery(edge, apply, dead_letters, pace.batch_max, pace.window_s, settings.retry_s)
