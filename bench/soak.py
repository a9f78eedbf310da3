"""Whether memory stays flat: a million events of 100,000 people, with requests and changes of the catalogue meanwhile.

    python -m bench.soak [--minutes 20] [--events 1000000] [--people 100000]

What is bounded begins at its bounds: there are as many past sessions as the models hold, they have learned from all of
them, and so many lists were asked for, from tracks drawn at random, that what is kept of tracks is full. Everybody has
an event in the first tenth of the time; after that, whatever grows grows with what is done and not with who is there.
The search graph is built anew whenever `OPTIMISE_ABOVE` tracks are outside it, several times in all: what is written
stays in memory until then.

Memory is private memory, without pages of files. Slopes are of the time after the first tenth, by least squares over
medians of `BIN_S` seconds, with 95 % intervals by bootstrap over those.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from kafka.admin import KafkaAdminClient

from bench.harness import Running, arguments, report, running, scratch
from bench.requests import listen, request
from streams.catching_up import catch_up
from streams.connections import connection_of
from streams.lag import lag_of
from streams.serving.collection import OPTIMISED
from streams.settings import variable
from streams.state.connection import connect
from topics.client import Client, Window
from topics.records import (
    Album,
    ArtistRef,
    Features,
    ListeningSession,
    ListenKind,
    RecommendationRequest,
    Seed,
    SessionTrack,
    Track,
)
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS, LISTENING_SESSIONS, TopicSpec

SEED = 7
TRACKS, ARTISTS = 20_000, 2_000
SESSIONS, TRACKS_OF_SESSION = 60_000, 16
LEARNED_WITHIN_S = 1_200.0
REQUESTS_PER_S, CHANGES_PER_S = 10, 5
# Lists that are answered before the clock starts, and how many are asked for at once.
LISTS_BEFORE, AT_ONCE = 5_000, 4
OPTIMISE_ABOVE = 1_000
LOOK_S, BIN_S = 5, 30
DRAWN = 2_000
KINDS: list[ListenKind] = ["play", "skip", "like", "save"]
WEIGHTS = [0.72, 0.2, 0.05, 0.03]
ACKNOWLEDGED_MAX = 2_000


def track(number: int, edition: int) -> Track:
    """One of the catalogue; editions differ."""
    rng = np.random.default_rng((number, edition))
    return Track(
        track_id=f"track-{number:016d}",
        title=f"Title {number}, edition {edition}",
        artists=(ArtistRef(artist_id=f"artist-{number % ARTISTS}", name=f"Artist {number % ARTISTS}"),),
        album=Album(album_id=f"album-{number // 10}", name=f"Album {number // 10}", release_date="2020-01-01"),
        features=Features(
            danceability=float(rng.random()),
            energy=float(rng.random()),
            valence=float(rng.random()),
            acousticness=float(rng.random()),
            liveness=float(rng.random()),
            speechiness=float(rng.random()),
            instrumentalness=float(rng.random()),
            tempo=120.0,
        ),
        duration_ms=200_000 + number,
    )


def past_sessions(people: int) -> Iterator[ListeningSession]:
    """More than any model holds."""
    rng, now_ms = np.random.default_rng(SEED), int(time.time() * 1000)
    for number in range(SESSIONS):
        heard = (rng.zipf(1.2, TRACKS_OF_SESSION) % TRACKS).tolist()
        yield ListeningSession(
            session_id=f"past-{number}",
            user_id=f"user-{number % people:08d}",
            started_at_ms=now_ms - 3_600_000,
            ended_at_ms=now_ms,
            tracks=tuple(SessionTrack(track_id=f"track-{one:016d}", heard=1.0) for one in heard),
        )


def people(count: int, events: int, rng: np.random.Generator) -> Iterator[int]:
    """Everybody once, then some more often than others."""
    yield from rng.permutation(count).tolist()
    while True:
        yield from (rng.zipf(1.2, 10_000) % count).tolist()


class Load:
    """Events at a steady rate, with requests and changes beside them, until the events are sent."""

    def __init__(self, client: Client, options: argparse.Namespace) -> None:
        self.sent = 0
        self.statuses: dict[str, int] = {}
        self.ended = threading.Event()
        self._client = client
        self._options = options
        self._rng = np.random.default_rng(SEED)

    def run(self) -> None:
        """Everybody's first event in the first tenth of the time; the others evenly over the rest."""
        minutes, events, count = self._options.minutes, self._options.events, self._options.people
        whole_s = minutes * 60
        window = Window(ACKNOWLEDGED_MAX)
        start = time.monotonic()
        drawn = people(count, events, self._rng)
        beside = threading.Thread(target=self._beside)
        beside.start()
        for number in range(events):
            share = number / count * 0.1 if number < count else 0.1 + 0.9 * (number - count) / max(1, events - count)
            time.sleep(max(0.0, start + share * whole_s - time.monotonic()))
            kind = KINDS[int(self._rng.choice(len(KINDS), p=WEIGHTS))]
            who, what = f"user-{next(drawn):08d}", f"track-{int(self._rng.zipf(1.2)) % TRACKS:016d}"
            played_ms = 120_000 if kind == "play" else None
            window.add(self._client.post(LISTENING_EVENTS, listen(who, what, kind, played_ms)))
            self.sent += 1
        window.drain()
        self.ended.set()
        beside.join()

    def _beside(self) -> None:
        rng = np.random.default_rng(SEED + 1)
        turns = 0
        while not self.ended.wait(1 / REQUESTS_PER_S):
            self._ask(request(f"user-{int(rng.integers(self._options.people)):08d}"))
            if turns % (REQUESTS_PER_S // CHANGES_PER_S) == 0:
                self._client.post(CATALOG_TRACKS, track(int(rng.integers(TRACKS)), turns + 1))
            turns += 1

    def _ask(self, asked: RecommendationRequest) -> None:
        self._client.submit(asked, timeout_s=5).add_done_callback(self._note)

    def _note(self, answer: Any) -> None:
        status = "none" if answer.exception() else answer.result().status
        self.statuses[status] = self.statuses.get(status, 0) + 1


def ask_of_many_tracks(client: Client) -> None:
    """Lists from tracks drawn at random, each of which meets a hundred others."""
    drawn = np.random.default_rng(SEED + 2).integers(TRACKS, size=LISTS_BEFORE).tolist()

    def ask(number: int) -> None:
        reply = client.ask(request(None, seeds=(Seed(track_id=f"track-{number:016d}"),)), timeout_s=30)
        assert reply.status != "error", reply

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(ask, drawn):
            pass


def slope(seconds: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """Growth per hour with its 95 % interval."""
    at, of = np.array(seconds), np.array(values)
    bins = (at // BIN_S).astype(int)
    middles = np.array([(at[bins == one].mean(), np.median(of[bins == one])) for one in np.unique(bins)])
    rng = np.random.default_rng(SEED)
    drawn = [middles, *(middles[rng.integers(len(middles), size=len(middles))] for _ in range(DRAWN))]
    found, *others = (float(np.polyfit(one[:, 0], one[:, 1], 1)[0]) * 3600 for one in drawn)
    low, high = np.percentile(others, [2.5, 97.5])
    return {"mb_per_hour": round(found, 2), "low": round(float(low), 2), "high": round(float(high), 2)}


def grown(seen: Sequence[tuple[float, float]]) -> dict[str, object]:
    """How much of a process there was, at seconds, in MB."""
    half = seen[len(seen) // 2 :]
    return {
        "at_a_tenth": seen[0][1],
        "middle": half[0][1],
        "end": half[-1][1],
        "slope": slope(*zip(*seen, strict=True)),
        "slope_of_second_half": slope(*zip(*half, strict=True)),
    }


async def _redis_bytes(here: Running) -> dict[str, float]:
    """What Redis says that its data takes, and for how many people."""
    redis = connect(here.settings)
    try:
        (told,) = await redis.run([(b"INFO", b"memory")])
        (keys,) = await redis.run([(b"DBSIZE",)])
        (counters,) = await redis.run([(b"MEMORY", b"USAGE", b"popularity:{p0}", b"SAMPLES", 0)])
    finally:
        await redis.aclose()
    used = next(int(line.split(":")[1]) for line in told.decode().splitlines() if line.startswith("used_memory:"))
    return {"used_mb": round(used / 1e6, 1), "keys": keys, "popularity_p0_bytes": counters or 0}


def measure(here: Running, options: argparse.Namespace) -> dict[str, object]:
    looked: list[tuple[float, dict[str, float]]] = []
    with here.client() as client:
        bare = here.resident_mb()["worker-index"]
        client.publish_many(CATALOG_TRACKS, (track(number, 0) for number in range(TRACKS)))
        _lag(here, CATALOG_TRACKS, within_s=120)
        loaded = here.resident_mb()["worker-index"]
        client.publish_many(LISTENING_SESSIONS, past_sessions(options.people))
        catch_up(here.settings, within_s=LEARNED_WITHIN_S, wait=True)
        ask_of_many_tracks(client)
        empty = asyncio.run(_redis_bytes(here))
        load = Load(client, options)
        running_load = threading.Thread(target=load.run)
        began = time.monotonic()
        running_load.start()
        while not load.ended.wait(LOOK_S):
            looked.append((time.monotonic() - began, here.private_mb()))
        running_load.join()
        took_s = time.monotonic() - began
        resident = here.resident_mb()
        behind = _lag(here, LISTENING_EVENTS, within_s=60)
    full = asyncio.run(_redis_bytes(here))
    steady = [(at, seen) for at, seen in looked if at > 0.1 * took_s]
    index_bytes = sum(path.stat().st_blocks * 512 for path in (here.settings.data_dir / "index").rglob("*"))
    return {
        "minutes": round(took_s / 60, 1),
        "events": load.sent,
        "people": options.people,
        "behind_at_the_end": behind,
        "statuses": load.statuses,
        "graphs_built": here.log("worker-index").count(OPTIMISED),
        "resident_mb_at_the_end": resident,
        "private_mb": {
            name: grown([(at, seen[name]) for at, seen in steady])
            for name in sorted(set.intersection(*(set(seen) for _, seen in looked)))
        },
        "redis": {
            "empty": empty,
            "full": full,
            "bytes_per_person": round((full["used_mb"] - empty["used_mb"]) * 1e6 / options.people),
            "events_per_person": round(load.sent / options.people, 1),
        },
        "bytes_per_track": {
            "on_disk": round(index_bytes / TRACKS),
            "resident_when_loaded": round((loaded - bare) * 1e6 / TRACKS),
        },
        "every_30_s": {
            name: [round(seen.get(name, 0.0)) for _, seen in looked[:: BIN_S // LOOK_S]]
            for name in sorted(set.union(*(set(seen) for _, seen in looked)))
        },
    }


def _lag(here: Running, spec: TopicSpec, within_s: float) -> int:
    """Records that have no effect yet, once they had some time."""
    admin = connection_of(here.settings).open(KafkaAdminClient)
    deadline = time.monotonic() + within_s
    try:
        while (left := lag_of(admin, spec, "")) and time.monotonic() < deadline:
            time.sleep(0.5)
        return left
    finally:
        admin.close()


def main() -> None:
    options = arguments(__doc__ or "", minutes=20, events=1_000_000, people=100_000)
    os.environ[variable("optimise_above")] = str(OPTIMISE_ABOVE)
    with scratch() as data_dir, running(data_dir) as here:
        found = measure(here, options)
    report("soak", found)


if __name__ == "__main__":
    main()
