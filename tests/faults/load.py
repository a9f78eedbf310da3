"""The driver: publishes at a steady rate, whatever happens to the system, and remembers what was acknowledged.

Times are seconds of this machine's clock, which also stamps the records.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from tests.faults.content import POISON, Content, Draft, Mix
from topics.client import Client, Published
from topics.connection import Connection
from topics.errors import TopicError
from topics.records import RecommendationReply
from topics.specs import LISTENING_EVENTS

EVENTS_PER_S, CHANGES_PER_S, REQUESTS_PER_S = 60.0, 10.0, 20.0
ANSWER_WITHIN_S = 15.0
# Behind by more, and the rest is left out: a burst after a fault would be another fault.
LATE_S = 0.5


@dataclass(frozen=True)
class Acknowledged:
    """A record that Kafka has, with when that was known."""

    draft: Draft
    at: Published
    when_s: float


@dataclass
class Asked:
    """A request with its times; `status` is `None` until an answer comes."""

    sent_s: float
    answered_s: float | None = None
    status: str | None = None

    @property
    def took_ms(self) -> float | None:
        """Request to reply."""
        return None if self.answered_s is None else (self.answered_s - self.sent_s) * 1000


class Load:
    """Events, changes of the catalogue and requests, each on a thread of its own.

    Attributes:
        mix: what is sent from now on.
        catalogue_rests: whether no changes are sent but those of a burst.
        acknowledged: in no order.
        asked: by request id.
    """

    def __init__(self, kafka: Connection, seed: int, mix: Mix, label: str = "") -> None:
        self.mix = mix
        self.catalogue_rests = False
        self.acknowledged: list[Acknowledged] = []
        self.refused = 0
        self.asked: dict[str, Asked] = {}
        self._client = Client(kafka)
        names = ("event", "change", "request")
        self._contents = {name: Content(seed * 10 + at, label) for at, name in enumerate(names)}
        for content in self._contents.values():
            content.tracks = self._contents["change"].tracks
        self._locks = {name: threading.Lock() for name in self._contents}
        self._watermark: dict[str, int] = {}
        self._ended = threading.Event()
        flows = (
            (EVENTS_PER_S, self._event),
            (CHANGES_PER_S, self._change_unless_at_rest),
            (REQUESTS_PER_S, self._request),
        )
        self._threads = [threading.Thread(target=self._keep, args=flow, daemon=True) for flow in flows]

    def fill(self) -> None:
        """Publish the first catalogue, and wait until Kafka has it."""
        for draft in self._contents["change"].first_catalogue():
            self._post(draft)
        self._client.flush()

    def start(self) -> None:
        """Begin; every flow goes on until `stop`."""
        self._client.prepare()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, once every record is acknowledged or has failed and every answer has come or never will."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._client.flush(40)
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while self._client.open_requests and time.monotonic() < deadline:
            time.sleep(0.05)
        self._client.close()

    def burst(self, events: int = 0, changes: int = 0, requests: int = 0, playlists: int = 0) -> None:
        """So many more at once, so that the workers apply large batches."""
        changing = ((changes, self._change), (playlists, self._playlist))
        for count, step in ((events, self._event), *changing, (requests, self._request)):
            for _ in range(count):
                step()

    def _keep(self, rate: float, step: Callable[[], None]) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            step()
            due = max(due + 1 / rate, time.monotonic() - LATE_S)

    def _event(self) -> None:
        with self._locks["event"]:
            self._post(self._contents["event"].event(self.mix))

    def _change_unless_at_rest(self) -> None:
        if not self.catalogue_rests:
            self._change()

    def _change(self) -> None:
        with self._locks["change"]:
            self._post(self._contents["change"].change(self.mix))

    def _playlist(self) -> None:
        with self._locks["change"]:
            self._post(self._contents["change"].playlist(self.mix))

    def _request(self) -> None:
        with self._locks["request"]:
            content = self._contents["request"]
            if len(self.asked) % 100 == 99:
                self._post(content.bad_request())
            request = content.request(dict(self._watermark))
        asked = self.asked[request.request_id] = Asked(time.time())
        try:
            self._client.submit(request, ANSWER_WITHIN_S).add_done_callback(partial(_answered, asked))
        except TopicError:
            del self.asked[request.request_id]

    def _post(self, draft: Draft) -> None:
        headers = [(POISON, draft.poison.encode())] if draft.poison else []
        try:
            sent = self._client.post_bytes(draft.spec, draft.key, draft.value, headers)
        except TopicError:
            self.refused += 1
            return
        sent.add_done_callback(partial(self._noted, draft))

    def _noted(self, draft: Draft, sent: Future[Published]) -> None:
        if sent.exception() is not None:
            self.refused += 1
            return
        at = sent.result()
        self.acknowledged.append(Acknowledged(draft, at, time.time()))
        if draft.spec is LISTENING_EVENTS:
            self._watermark[str(at.partition)] = at.offset


def _answered(asked: Asked, answer: Future[RecommendationReply]) -> None:
    if answer.exception() is None:
        asked.answered_s, asked.status = time.time(), answer.result().status


def ends(acknowledged: Sequence[Acknowledged], until_s: float) -> dict[tuple[str, int], int]:
    """Partition -> offset after the last record that was acknowledged by then."""
    found: dict[tuple[str, int], int] = {}
    for one in acknowledged:
        place = one.at.topic, one.at.partition
        if one.when_s <= until_s:
            found[place] = max(found.get(place, 0), one.at.offset + 1)
    return found
