"""Every topic: its name, what it carries, its key, partitions and clean-up. The wire contract's table as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from topics.errors import UnknownTopic
from topics.records import (
    Artist,
    Listen,
    ListeningSession,
    ModelUpdate,
    Playlist,
    RecommendationReply,
    RecommendationRequest,
    Record,
    Served,
    Track,
    WeeklyPlaylist,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# A dead letter is a record of up to 1 MiB plus its reason: it must fit where its origin barely did.
MAX_MESSAGE_BYTES = 1_100_000
MAX_DEAD_LETTER_BYTES = 2_000_000


@dataclass(frozen=True)
class TopicSpec:
    """One topic of the contract, without the installation's prefix."""

    name: str
    key: str
    partitions: int
    cleanup: Literal["compact", "delete"]
    retention_ms: int | None
    record_type: type[Record] | None
    has_dead_letters: bool = False
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def config(self) -> dict[str, str]:
        """Kafka's topic configuration."""
        config = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_message_bytes)}
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        return config


CATALOG_TRACKS = TopicSpec("catalog.tracks", "track_id", 4, "compact", None, Track, True)
CATALOG_ARTISTS = TopicSpec("catalog.artists", "artist_id", 4, "compact", None, Artist, True)
CATALOG_PLAYLISTS = TopicSpec("catalog.playlists", "playlist_id", 4, "compact", None, Playlist, True)
LISTENING_EVENTS = TopicSpec("listening.events", "user_id", 4, "delete", 30 * DAY_MS, Listen, True)
REQUESTS = TopicSpec("recommendation.requests", "user_id", 4, "delete", HOUR_MS, RecommendationRequest, True)
REPLIES = TopicSpec("recommendation.replies", "request_id", 4, "delete", HOUR_MS, RecommendationReply)
SERVED = TopicSpec("recommendation.served", "user_id", 4, "delete", 90 * DAY_MS, Served)
PLAYLISTS_WEEKLY = TopicSpec("playlists.weekly", "user_id", 4, "compact", None, WeeklyPlaylist, True)
# Declared with the others so that an installation's topics do not change when their writers arrive.
MODELS_UPDATES = TopicSpec("models.updates", "model", 1, "compact", None, ModelUpdate)
LISTENING_SESSIONS = TopicSpec("listening.sessions", "user_id", 4, "delete", 30 * DAY_MS, ListeningSession, True)
PRIVACY_REQUESTS = TopicSpec("privacy.requests", "user_id", 4, "delete", 30 * DAY_MS, None, True)

_LIVE = (
    CATALOG_TRACKS,
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    LISTENING_EVENTS,
    REQUESTS,
    REPLIES,
    SERVED,
    LISTENING_SESSIONS,
    MODELS_UPDATES,
    PRIVACY_REQUESTS,
    PLAYLISTS_WEEKLY,
)


def dead_letters_of(spec: TopicSpec) -> TopicSpec:
    """The topic that holds, byte for byte, what could not be applied from `spec`."""
    return TopicSpec(
        f"{spec.name}.dead", spec.key, 1, "delete", 30 * DAY_MS, None, max_message_bytes=MAX_DEAD_LETTER_BYTES
    )


DEAD_LETTERS: tuple[TopicSpec, ...] = tuple(dead_letters_of(spec) for spec in _LIVE if spec.has_dead_letters)
ALL: tuple[TopicSpec, ...] = _LIVE + DEAD_LETTERS
_BY_NAME = {spec.name: spec for spec in ALL}


def spec_named(name: str) -> TopicSpec:
    """The topic called `name` in the contract (no prefix).

    Raises:
        UnknownTopic: there is none; the message lists those there are.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnknownTopic(f"expected one of {', '.join(sorted(_BY_NAME))}, got {name!r}") from None


def full_name(spec: TopicSpec, prefix: str) -> str:
    """The topic's name on the broker: `acme.` + `listening.events`, or the bare name without a prefix."""
    return f"{prefix.rstrip('.')}.{spec.name}" if prefix else spec.name
