"""Where an answer goes: what a request's headers say, held against what the installation allows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from topics.codec import MAX_HEADERS_BYTES
from topics.errors import RecordRefused
from topics.specs import ALL, REPLIES, full_name

CORRELATION_ID = "kafka_correlationId"
REPLY_TOPIC = "kafka_replyTopic"
REPLY_PARTITION = "kafka_replyPartition"
# What Kafka takes as a name of a topic.
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True)
class ReplyAddress:
    """The topic, the partition (`None` = by key) and the headers of an answer."""

    topic: str
    partition: int | None
    headers: tuple[tuple[str, bytes], ...]


def reply_address(headers: Sequence[tuple[str, bytes | None]], *, allowed: Sequence[str], prefix: str) -> ReplyAddress:
    """What the headers of a request ask for, in the form of Spring Kafka's ReplyingKafkaTemplate.

    Args:
        headers: the request's; of a repeated one the last counts.
        allowed: beginnings of the names of reply topics, without the installation's prefix.
        prefix: the installation's.

    Raises:
        RecordRefused: `reply_refused`, for a topic that is not allowed or a partition that is no number; also where the
            setting allows it, no reply goes to a topic that holds something else.
    """
    given = {name: value for name, value in headers if value is not None}
    correlation = ((CORRELATION_ID, given[CORRELATION_ID]),) if CORRELATION_ID in given else ()
    topic = _topic(given.get(REPLY_TOPIC), allowed, prefix)
    return ReplyAddress(topic, _partition(given.get(REPLY_PARTITION)), correlation)


def default_address(headers: Sequence[tuple[str, bytes | None]], prefix: str) -> ReplyAddress:
    """Where a refused request is answered: the default topic, with its correlation id if that is of a usual size."""
    only = [
        (name, value) for name, value in headers if name == CORRELATION_ID and len(value or b"") <= MAX_HEADERS_BYTES
    ]
    return reply_address(only, allowed=(REPLIES.name,), prefix=prefix)


def _topic(value: bytes | None, allowed: Sequence[str], prefix: str) -> str:
    default = full_name(REPLIES, prefix)
    if value is None:
        return default
    name = value.decode("utf-8", errors="replace")
    installation = default.removesuffix(REPLIES.name)
    beginnings = [installation + one for one in allowed if one]
    if not name.startswith(tuple(beginnings)) or not _TOPIC.fullmatch(name) or _is_taken(name):
        expected = " or ".join(beginnings)
        raise RecordRefused("reply_refused", f"expected a reply topic that begins with {expected}, got {name[:300]!r}")
    return name


def _is_taken(name: str) -> bool:
    """Whether it is, or ends like, a topic that holds other things: ours, or of an installation named like ours."""
    return any(f".{name}".endswith(f".{spec.name}") for spec in ALL if spec is not REPLIES) or name.startswith("__")


def _partition(value: bytes | None) -> int | None:
    if value is None:
        return None
    if len(value) != 4:
        raise RecordRefused(
            "reply_refused", f"expected 4 big-endian bytes as {REPLY_PARTITION}, got {len(value)} bytes"
        )
    return int.from_bytes(value, "big")
