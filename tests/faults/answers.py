"""Judges every answer that was given: what it holds, and whether each request got one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.content import POISON
from tests.faults.watch import Sample

GOOD = ("ok", "partial")
# A later event of the right-hand kind may already have lifted what the left-hand one forbade.
LIFTS = {"dislike": ("like", "unrate"), "block_artist": ("unblock_artist",)}


@dataclass(frozen=True)
class Judgement:
    """What is to be said of all answers.

    Attributes:
        wrong: one line for each thing that may not be.
        unanswered: requests that Kafka has and that no reply is about.
        again: replies beyond the first for one request.
        statuses: how many requests got which, by their first reply.
    """

    wrong: tuple[str, ...]
    unanswered: tuple[str, ...]
    again: int
    statuses: Mapping[str, int]


@dataclass(frozen=True)
class _Event:
    offset: int
    kind: str
    subject: str


class Rules:
    """What an answer may not hold, from the log alone."""

    def __init__(self, log: Mapping[str, Sequence[Any]], samples: Sequence[Sample]) -> None:
        self._events: dict[str, list[_Event]] = {}
        self._partitions: dict[str, int] = {}
        for one in log["listening.events"]:
            if POISON not in dict(one.headers):
                record = json.loads(one.value)
                subject = record.get("track_id") or record.get("artist_id")
                self._partitions[record["user_id"]] = one.partition
                self._events.setdefault(record["user_id"], []).append(_Event(one.offset, record["kind"], subject))
        self._absences = _absences(log["catalog.tracks"], samples)

    def wrong(self, request: Mapping[str, Any], reply: Mapping[str, Any], replied_s: float) -> Iterator[str]:
        """Everything that is wrong with one answer."""
        shown = [item["track_id"] for item in reply["items"]]
        if len(set(shown)) != len(shown) or len(shown) > request["limit"]:
            yield f"expected at most {request['limit']} different tracks, got {shown}"
        yield from (f"{seed['track_id']} is a seed" for seed in request["seeds"] or () if seed["track_id"] in shown)
        if reply["status"] == "ok" and _behind(request.get("after") or {}, reply["watermark"]):
            yield f"expected {request['after']} to have counted, got {reply['watermark']}"
        tracks, artists = self._forbidden(request["user_id"], reply["watermark"])
        for item in reply["items"]:
            if item["track_id"] in tracks:
                yield f"{item['track_id']} was {tracks[item['track_id']]} by {request['user_id']}"
            yield from (
                f"artist of {item['track_id']} is blocked" for a in item["artists"] if a["artist_id"] in artists
            )
            for since_s, until_s in self._absences.get(item["track_id"], ()):
                if since_s < request["sent_at_ms"] / 1000 and replied_s < until_s:
                    yield f"{item['track_id']} was withdrawn"

    def _forbidden(self, user_id: str, watermark: Mapping[str, int]) -> tuple[dict[str, str], set[str]]:
        """Tracks with the reason, and artists: what the events up to the watermark forbid for good."""
        counted = watermark.get(str(self._partitions.get(user_id)), -1)
        tracks: dict[str, str] = {}
        artists: set[str] = set()
        disliked: set[str] = set()
        for event in self._events.get(user_id, ()):
            if event.offset <= counted:
                if event.kind in ("play", "skip"):
                    tracks[event.subject] = "heard"
                if event.kind == "dislike":
                    disliked.add(event.subject)
                if event.kind == "block_artist":
                    artists.add(event.subject)
            if event.kind in LIFTS["dislike"]:
                disliked.discard(event.subject)
            if event.kind in LIFTS["block_artist"]:
                artists.discard(event.subject)
        return {**dict.fromkeys(disliked, "disliked"), **tracks}, artists


def _behind(after: Mapping[str, int], watermark: Mapping[str, int]) -> bool:
    return any(watermark.get(partition, -1) < offset for partition, offset in after.items())


def _absences(changes: Sequence[Any], samples: Sequence[Sample]) -> dict[str, list[tuple[float, float]]]:
    """Track -> the times from which a withdrawal was known to be done until the track was published again."""
    found: dict[str, list[tuple[float, float]]] = {}
    for one in changes:
        if POISON in dict(one.headers):
            continue
        key = one.key.decode()
        if key in found and found[key][-1][1] == float("inf"):
            found[key][-1] = found[key][-1][0], one.timestamp / 1000
        if one.value is None:
            place = one.topic, one.partition
            done = (sample.when_s for sample in samples if sample.committed.get(place, 0) > one.offset)
            found.setdefault(key, []).append((next(done, float("inf")), float("inf")))
    return found


def judge(
    log: Mapping[str, Sequence[Any]], asked: Sequence[Any], replies: Sequence[Any], samples: Sequence[Sample]
) -> Judgement:
    """The answers to the requests of `asked`, by all that the log holds."""
    rules = Rules(log, samples)
    # `throughbeat up` asks too, and tells no time.
    requests = [
        {**record, "sent_at_ms": record["sent_at_ms"] or one.timestamp}
        for one in asked
        if POISON not in dict(one.headers) and (record := json.loads(one.value))
    ]
    by_id: dict[str, list[tuple[float, dict[str, Any]]]] = {request["request_id"]: [] for request in requests}
    for one in replies:
        reply = json.loads(one.value)
        by_id.get(reply["request_id"], []).append((one.timestamp / 1000, reply))
    wrong: list[str] = []
    statuses: dict[str, int] = {}
    for request in requests:
        answers = by_id[request["request_id"]]
        for replied_s, reply in answers:
            if reply["status"] in GOOD:
                wrong += [f"{request['request_id']}: {what}" for what in rules.wrong(request, reply, replied_s)]
        if answers:
            first = min(answers, key=lambda pair: pair[0])[1]
            status = first["error"]["code"] if first["error"] else first["status"]
            statuses[status] = statuses.get(status, 0) + 1
    return Judgement(
        wrong=tuple(wrong),
        unanswered=tuple(name for name, answers in by_id.items() if not answers),
        again=sum(max(0, len(answers) - 1) for answers in by_id.values()),
        statuses=statuses,
    )
