"""Latency of answers over the whole catalogue: a new release, a skip, sequential requests, and an open loop.

python -m bench.requests [--releases 300] [--skips 300] [--sequential 500] [--rate 100] [--seconds 20]
"""

from __future__ import annotations

import argparse
import os
import time
import uuid
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import recall.channels
from bench.harness import DATA, Running, arguments, report, running, scratch, summary
from streams.importing.tracks import open_tracks
from streams.settings import variable
from topics.client import Client
from topics.errors import RecordRefused
from topics.records import (
    Album,
    Listen,
    ListenKind,
    RecommendationReply,
    RecommendationRequest,
    Seed,
    Track,
)
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS

SEED = 7
LISTENERS = 200
# Channels beside which all the others are shown.
FOUR = frozenset(("acoustic", "same_artist", "fresh", "genre_popular"))

Figures = dict[str, object]


def tracks_of(path: Path, count: int, rng: np.random.Generator) -> list[Track]:
    """Tracks of the catalogue with features and an artist's id, drawn at random."""
    source = open_tracks(path)
    found = []
    for item in source.items():
        try:
            record = source.convert(item)
        except (RecordRefused, AttributeError):
            continue
        if isinstance(record, Track) and record.features and record.artists and record.artists[0].artist_id:
            found.append(record)
    return [found[i] for i in rng.choice(len(found), count, replace=False)]


def now_ms() -> int:
    return int(time.time() * 1000)


def listen(user_id: str, track_id: str, kind: ListenKind, played_ms: int | None = None) -> Listen:
    return Listen(
        event_id=uuid.uuid4().hex,
        user_id=user_id,
        track_id=track_id,
        kind=kind,
        occurred_at_ms=now_ms(),
        played_ms=played_ms,
    )


def request(user_id: str | None, **more: Any) -> RecommendationRequest:
    return RecommendationRequest(request_id=uuid.uuid4().hex, user_id=user_id, sent_at_ms=now_ms(), **more)


def make_listeners(client: Client, tracks: list[Track]) -> dict[str, list[Track]]:
    """People with a taste: each has finished ten tracks."""
    run = uuid.uuid4().hex[:6]
    people = {f"{run}-{i}": tracks[10 * i : 10 * i + 10] for i in range(LISTENERS)}
    for user_id, played in people.items():
        for track in played:
            client.post(LISTENING_EVENTS, listen(user_id, track.track_id, "play"))
    client.flush()
    return people


def new_releases(client: Client, people: dict[str, list[Track]], count: int) -> Figures:
    """From `send` of a release to its first appearance in an answer for a listener of its artist."""
    taken, asked, missing = [], [], 0
    names = list(people)
    for number in range(count):
        user_id = names[number % len(names)]
        like = people[user_id][number % 10]
        release = Track(
            track_id=f"release{number}-{uuid.uuid4().hex[:6]}",
            title=f"Release {number} of {uuid.uuid4().hex[:6]}",
            artists=like.artists[:1],
            album=Album(release_date="2026-11-20"),
            features=like.features,
            duration_ms=200_000 + number,
        )
        began = time.perf_counter()
        client.post(CATALOG_TRACKS, release)
        requests = 0
        while time.perf_counter() - began < 5:
            requests += 1
            reply = client.ask(request(user_id, limit=30), timeout_s=5)
            if any(item.track_id == release.track_id for item in reply.items):
                taken.append((time.perf_counter() - began) * 1000)
                break
        else:
            missing += 1
        asked.append(requests)
    return {"ms": summary(taken), "requests_until_seen": summary(asked), "never_seen": missing}


def skips(client: Client, people: dict[str, list[Track]], count: int) -> Figures:
    """From `send` of a skip to an answer in which it counts (asked with `after`)."""
    taken, late = [], 0
    names = list(people)
    for number in range(count):
        user_id = names[number % len(names)]
        shown = client.ask(request(user_id, limit=5), timeout_s=5).items
        began = time.perf_counter()
        sent = client.publish(LISTENING_EVENTS, listen(user_id, shown[0].track_id, "skip", played_ms=1000))
        reply = client.ask(request(user_id, limit=5, after={str(sent.partition): sent.offset}), timeout_s=5)
        taken.append((time.perf_counter() - began) * 1000)
        late += reply.status != "ok" or any(item.track_id == shown[0].track_id for item in reply.items)
    return {"ms": summary(taken), "not_counted": late}


def sequential(
    here: Running, client: Client, people: dict[str, list[Track]], tracks: list[Track], count: int
) -> Figures:
    """Request to reply, one after the other: half from taste, half from a seed; and the mean of each stage."""
    names = list(people)
    figures: Figures = {}
    for kind in ("taste", "seed"):
        taken, inside, before = [], [], here.stages_ms()
        for number in range(count // 2):
            seeds = (Seed(track_id=tracks[number % len(tracks)].track_id),) if kind == "seed" else None
            began = time.perf_counter()
            reply = client.ask(request(names[number % len(names)], seeds=seeds), timeout_s=5)
            taken.append((time.perf_counter() - began) * 1000)
            inside.append(reply.took_ms)
        stages = {name: round((ms - before.get(name, 0.0)) / (count // 2), 2) for name, ms in here.stages_ms().items()}
        figures[kind] = {"ms": summary(taken), "in_worker_ms": summary(inside), "stages_ms": stages}
    return figures


def open_loop(client: Client, people: dict[str, list[Track]], tracks: list[Track], rate: int, seconds: int) -> Figures:
    """Requests at a steady rate whatever comes back; a late start of a request counts against it."""
    names = list(people)
    taken: list[float] = []
    statuses: dict[str, int] = {}
    waiting: list[Future[RecommendationReply]] = []
    start = time.perf_counter()
    for number in range(rate * seconds):
        due = start + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        seeds = (Seed(track_id=tracks[number % len(tracks)].track_id),) if number % 2 else None
        future = client.submit(request(names[number % len(names)], seeds=seeds), timeout_s=5)
        future.add_done_callback(partial(_note, taken, due))
        waiting.append(future)
    wait(waiting, timeout=10)
    for future in waiting:
        status = future.result().status if future.done() and not future.exception() else "none"
        statuses[status] = statuses.get(status, 0) + 1
    return {"rate": rate, "seconds": seconds, "ms": summary(taken), "statuses": statuses}


def _note(taken: list[float], due: float, _: Future[RecommendationReply]) -> None:
    taken.append((time.perf_counter() - due) * 1000)


def channel_names() -> set[str]:
    """Of all channels there are."""
    rooms = (getattr(recall.channels, room) for room in recall.channels.__all__)
    return {room.name for room in rooms if isinstance(getattr(room, "name", None), str)}


def answers(
    here: Running, client: Client, people: dict[str, list[Track]], tracks: list[Track], options: argparse.Namespace
) -> Figures:
    """Latency of answers, one after the other and at a steady rate, once a few have been given."""
    sequential(here, client, people, tracks, 60)
    return {
        "sequential": sequential(here, client, people, tracks, options.sequential),
        "open_loop": open_loop(client, people, tracks, options.rate, options.seconds),
    }


def main() -> None:
    options = arguments(__doc__, releases=300, skips=300, sequential=500, rate=100, seconds=20)
    tracks = tracks_of(DATA / "tracks.csv.gz", 10 * LISTENERS, np.random.default_rng(SEED))
    with scratch() as data_dir:
        with running(data_dir, str(DATA)) as here, here.client() as client:
            ready_s = {
                "graph_built_after": here.wait_until_optimised(),
                "settled_after": here.wait_until_settled(),
                "tables_learned_after": here.wait_until_learned(),
            }
            people = make_listeners(client, tracks)
            figures = {
                "seconds": {name: round(seconds, 1) for name, seconds in ready_s.items()},
                **answers(here, client, people, tracks, options),
                "new_release": new_releases(client, people, options.releases),
                "skip": skips(client, people, options.skips),
                "resident_mb": here.resident_mb(),
            }
        os.environ[variable("channels")] = ",".join(f"{name}=off" for name in sorted(channel_names() - FOUR))
        with running(data_dir) as here, here.client() as client:
            here.wait_until_settled()
            figures["four_channels"] = {"on": sorted(FOUR), **answers(here, client, people, tracks, options)}
    report("requests", figures)


if __name__ == "__main__":
    main()
