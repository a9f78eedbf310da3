"""What is counted in a worker: one registry a process, for Prometheus to read.

Counters move once a batch and not once a record. Topics are named without the installation's prefix.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from topics.records import RecommendationReply
from topics.specs import REQUESTS

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

# A list is worth something for 0.2 s to 1 s, and takes some milliseconds.
_ANSWER_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_BATCH_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

RECORDS = Counter(
    "throughbeat_records",
    "Records that came: applied, set_aside (a dead letter) or turned_away (a request, when overloaded).",
    ["topic", "outcome"],
    registry=REGISTRY,
)
DEAD_LETTERS = Counter(
    "throughbeat_dead_letters", "Records set aside, by the reason code.", ["topic", "reason"], registry=REGISTRY
)
BATCH = Histogram("throughbeat_batch_seconds", "Applying one batch.", ["topic"], buckets=_BATCH_S, registry=REGISTRY)
RETRIES = Counter(
    "throughbeat_retries", "Times that a batch was tried again because a store was away.", ["topic"], registry=REGISTRY
)
LAG = Gauge(
    "throughbeat_lag_records",
    "Records that are not acknowledged yet, in the partitions that this worker has.",
    ["topic", "partition"],
    registry=REGISTRY,
)
STILL = Gauge(
    "throughbeat_still_seconds",
    "How long there has been lag and no progress; at THROUGHBEAT_WATCHDOG_S the worker ends.",
    ["topic"],
    registry=REGISTRY,
)
KAFKA_AWAY = Gauge("throughbeat_kafka_away", "1 while the worker's look at Kafka fails.", registry=REGISTRY)
LOOP_DELAY = Gauge(
    "throughbeat_loop_delay_seconds", "How late the event loop last came to a timer of 1 s.", registry=REGISTRY
)
ANSWERS = Counter(
    "throughbeat_answers", "Replies: ok, partial, or the code of the error.", ["status"], registry=REGISTRY
)
ANSWER = Histogram(
    "throughbeat_answer_seconds",
    "From the request's time in Kafka to the broker's acknowledgement of its reply.",
    buckets=_ANSWER_S,
    registry=REGISTRY,
)
STAGE = Histogram(
    "throughbeat_answer_stage_seconds",
    "Stages of an answer; `turn` is the wait for one, and the channels run side by side.",
    ["stage"],
    buckets=_ANSWER_S,
    registry=REGISTRY,
)
DEGRADED = Counter(
    "throughbeat_degraded", "Replies that lacked a part: a channel, `after` or a seed.", ["part"], registry=REGISTRY
)
SESSIONS = Counter("throughbeat_sessions_closed", "Sessions sent to listening.sessions.", registry=REGISTRY)
INDEXED = Gauge("throughbeat_index_tracks", "Tracks in the index.", registry=REGISTRY)
OUTSIDE_GRAPH = Gauge(
    "throughbeat_index_tracks_outside_graph", "Tracks that each search compares one by one.", registry=REGISTRY
)
RECALL = Gauge(
    "throughbeat_index_recall",
    "Share of the 100 nearest that a search finds, against comparing with every track, over the last 64 looks.",
    ["vector"],
    registry=REGISTRY,
)
TRACK2VEC = Gauge("throughbeat_track2vec", "Size and work of what is learned from lists.", ["what"], registry=REGISTRY)
TRACK2VEC_DRIFT = Gauge(
    "throughbeat_track2vec_drift",
    "How far tracks have moved on average since the last full training: 1 less the cosine.",
    registry=REGISTRY,
)
LESSONS = Counter(
    "throughbeat_lessons",
    "Records that the ranking could learn from, by what came of them: learnt, nothing (no answer to join it with, too "
    "late, or said before) or other_features.",
    ["topic", "outcome"],
    registry=REGISTRY,
)
REWARD = Gauge(
    "throughbeat_reward", "Mean reward of the impressions that somebody reacted to lately.", registry=REGISTRY
)
EVIDENCE_REFUSED = Counter(
    "throughbeat_evidence_refused",
    "Times that what the ranking has learnt, or a version of it, was damaged and not used; the last good one serves.",
    registry=REGISTRY,
)
ROLLBACKS = Counter(
    "throughbeat_ranking_rollbacks", "Times that the reward fell and an earlier ranking took over.", registry=REGISTRY
)
MODEL = Info("throughbeat_model", "Versions of the models behind the answers.", ["model"], registry=REGISTRY)
WORKER = Info("throughbeat_worker", "What this worker is.", registry=REGISTRY)


class Tally:
    """What becomes of the records of one topic.

    Attributes:
        retrying: whether a batch is being tried again because a store is away.
    """

    def __init__(self, topic: str) -> None:
        self.retrying = False
        self._topic = topic
        self._applied = RECORDS.labels(topic, "applied")
        self._set_aside = RECORDS.labels(topic, "set_aside")
        self._turned_away = RECORDS.labels(topic, "turned_away")
        self._retries = RETRIES.labels(topic)
        self.batch = BATCH.labels(topic)

    def applied(self, records: int) -> None:
        """They have taken effect."""
        self._applied.inc(records)

    def set_aside(self, reason: str) -> None:
        """One has become a dead letter."""
        self._set_aside.inc()
        DEAD_LETTERS.labels(self._topic, reason).inc()

    def turned_away(self) -> None:
        """One was answered `overloaded`."""
        self._turned_away.inc()

    @contextmanager
    def patience(self) -> Iterator[None]:
        """For as long as the block takes, a batch may be tried again."""
        try:
            yield
        finally:
            self.retrying = False

    def tried_again(self) -> None:
        """A store is away, and the batch is tried again."""
        self.retrying = True
        self._retries.inc()


@functools.cache
def tally_of(topic: str) -> Tally:
    """The tally of a topic, named without its prefix."""
    return Tally(topic)


def timed(stage: str) -> AbstractContextManager[object]:
    """Measures a stage of an answer for the length of a block."""
    return STAGE.labels(stage).time()


def count_reply(reply: RecommendationReply) -> None:
    """One reply is with the broker, whatever it says."""
    ANSWERS.labels(reply.error.code if reply.error else reply.status).inc()
    for part in reply.degraded:
        # A seed is named with its id, which is not for a label.
        DEGRADED.labels(part.partition(":")[0]).inc()


def count_request(reply: RecommendationReply, took_s: float) -> None:
    """One request that could be read is done with, `took_s` seconds after it was sent."""
    tally = tally_of(REQUESTS.name)
    if reply.error is not None and reply.error.code == "overloaded":
        tally.turned_away()
    else:
        tally.applied(1)
    # The sender's clock may be ahead of this one.
    ANSWER.observe(max(0.0, took_s))


def name_models(versions: Mapping[str, str | None]) -> None:
    """Say which versions serve; a model without one is left out."""
    for model, version in versions.items():
        if version is not None:
            MODEL.labels(model).info({"version": version})
