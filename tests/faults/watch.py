"""How far the workers have come, asked of Kafka several times a second from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from tests.faults.load import Acknowledged, ends
from topics.connection import Connection

EVERY_S = 0.15
# Workers commit twice a second, and are looked at a little later: what was sent since may be done and not yet shown.
SHOWN_AFTER_S = 1.5
Places = Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class Sample:
    """The committed offsets at a moment."""

    when_s: float
    committed: Places


class Watch:
    """Samples until it is told to stop; while the broker is away there are none.

    Attributes:
        samples: in the order of time.
    """

    def __init__(self, kafka: Connection) -> None:
        self._kafka = kafka
        self.samples: list[Sample] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        admin: Any = None
        while not self._ended.wait(EVERY_S):
            try:
                admin = admin or KafkaAdminClient(**self._kafka.options(), request_timeout_ms=2_000)
                self.samples.append(Sample(time.time(), committed(admin)))
            except (KafkaError, OSError):
                if admin is not None:
                    admin.close()
                admin = None
        if admin is not None:
            admin.close()


def committed(admin: Any) -> dict[tuple[str, int], int]:
    """(topic, partition) -> offset of the next record, of the installation's group that is furthest behind."""
    groups = [group["group_id"] for group in admin.list_groups() if group["group_id"].startswith("throughbeat.")]
    found: dict[tuple[str, int], int] = {}
    for group in groups:
        offsets = admin.list_group_offsets(group)[group]
        for place, one in offsets.items():
            key = place.topic, place.partition
            found[key] = min(found.get(key, one.offset), one.offset)
    return found


def lag(sample: Sample, acknowledged: Sequence[Acknowledged], since_s: float) -> int:
    """Records of before `since_s`, or of at least `SHOWN_AFTER_S` ago, that were not done with then."""
    sent = ends(acknowledged, max(since_s, sample.when_s - SHOWN_AFTER_S))
    return sum(max(0, end - sample.committed.get(place, 0)) for place, end in sent.items())


def first_progress_s(samples: Sequence[Sample], topic: str, since_s: float) -> float | None:
    """Seconds from `since_s` until the topic's offsets were seen further than before; `None` for never."""
    before = [one for one in samples if one.when_s <= since_s]
    start = _sum(before[-1], topic) if before else 0
    later = (one.when_s for one in samples if one.when_s > since_s and _sum(one, topic) > start)
    first = next(later, None)
    return None if first is None else first - since_s


def _sum(sample: Sample, topic: str) -> int:
    return sum(offset for (name, _), offset in sample.committed.items() if name == topic)
