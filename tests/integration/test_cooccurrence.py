"""What playlists and sessions teach, end to end: real Kafka, Redis and Qdrant Edge, a worker that is a process."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from models.track2vec_state import LearnedState
from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.lag import committed_offsets, end_offsets, group_names
from tests.integration.installation import Installation, eventually, track
from topics.records import ListeningSession, Playlist, RecommendationReply, Seed, SessionTrack
from topics.specs import CATALOG_PLAYLISTS, CATALOG_TRACKS, LISTENING_SESSIONS, TopicSpec, full_name

GROUPS, SIZE = 4, 10
ROLES = "catalogue,cooccurrence,recommendations"


def playlist_of(group: int, number: int, draw: random.Random) -> Playlist:
    """Six of the ten tracks of a group: g0t0 to g3t9."""
    chosen = draw.sample(range(SIZE), 6)
    return Playlist(playlist_id=f"p{group}-{number}", track_ids=tuple(f"g{group}t{n}" for n in chosen))


def has_learned(here: Installation, spec: TopicSpec) -> bool:
    """Whether the role that learns has acknowledged all of a topic."""
    topic = full_name(spec, here.settings.topic_prefix)
    admin = connection_of(here.settings).open(KafkaAdminClient)
    try:
        ends = end_offsets(admin, topic)
        groups = [name for name in group_names(admin) if name.startswith(f"{here.settings.topic_prefix}.")]
        (group,) = [name for name in groups if ".cooccurrence." in name]
        committed = committed_offsets(admin, group)
    finally:
        admin.close()
    return all(committed.get((topic, partition), 0) == end for partition, end in ends.items() if end)


def by_playlist(reply: RecommendationReply) -> list[str]:
    """What the channel found, its best first."""
    found = [item for item in reply.items if "playlist" in item.channels]
    return [item.track_id for item in sorted(found, key=lambda item: item.channels["playlist"])]


@pytest.fixture(scope="module")
def here(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Forty tracks that sound alike, of an artist each: only playlists tell them apart."""
    installation = Installation(stack, f"lists{time.monotonic_ns()}", tmp_path_factory.mktemp("lists"))
    draw = random.Random(5)
    with installation.client, installation.worker(ROLES):
        tracks = [track(f"g{group}t{n}", f"a{group}-{n}") for group in range(GROUPS) for n in range(SIZE)]
        installation.client.publish_many(CATALOG_TRACKS, tracks)
        lists = [playlist_of(group, number, draw) for group in range(GROUPS) for number in range(15)]
        installation.client.publish_many(CATALOG_PLAYLISTS, lists)
        installation.settled(CATALOG_TRACKS)
        yield installation


def test_seed_finds_what_is_in_playlists_with_it_and_says_so(here: Installation) -> None:
    mates = {f"g2t{n}" for n in range(1, SIZE)}
    eventually(lambda: set(by_playlist(here.ask(seeds=(Seed(track_id="g2t0"),), limit=20))[:9]) == mates)
    reply = here.ask(seeds=(Seed(track_id="g2t0"),), limit=20)
    best = next(item for item in reply.items if item.channels.get("playlist") in (0, 1))
    assert best.why is not None
    assert "ften in playlists with Title g2t0" in best.why.text
    assert best.why.seed_track_ids == ("g2t0",)
    assert best.why.contributions["playlist"] > 0
    assert (reply.models["track2vec"] or "").startswith("grown-")


def test_track_that_comes_after_its_playlists_is_found_by_them(here: Installation) -> None:
    draw = random.Random(6)
    lists = [
        Playlist(playlist_id=f"late{n}", track_ids=("late", *(f"g1t{m}" for m in draw.sample(range(SIZE), 5))))
        for n in range(5)
    ]
    here.client.publish_many(CATALOG_PLAYLISTS, lists)
    eventually(lambda: has_learned(here, CATALOG_PLAYLISTS))
    here.client.publish(CATALOG_TRACKS, track("late", "a-late"))
    eventually(lambda: "late" in by_playlist(here.ask(seeds=(Seed(track_id="g1t0"),), limit=40)))


def test_people_s_sessions_teach_as_playlists_do(here: Installation) -> None:
    here.client.publish(CATALOG_TRACKS, track("heard", "a-heard"))
    draw = random.Random(7)
    for n in range(6):
        tracks = [f"g3t{m}" for m in draw.sample(range(SIZE), 5)]
        session = ListeningSession(
            session_id=f"s{n}",
            user_id=f"u{n}",
            started_at_ms=1,
            ended_at_ms=2,
            tracks=(SessionTrack(track_id="heard", heard=1.0), *(SessionTrack(track_id=one) for one in tracks)),
        )
        here.client.publish(LISTENING_SESSIONS, session)
    mates = {f"g3t{n}" for n in range(SIZE)}
    eventually(lambda: len(mates & set(by_playlist(here.ask(seeds=(Seed(track_id="heard"),), limit=20))[:9])) >= 8)


def test_withdrawn_playlists_are_no_reason_any_more(here: Installation) -> None:
    here.client.publish_many(CATALOG_TRACKS, [track(one, f"a-{one}") for one in ("w1", "w2", "w3")])
    here.client.publish(CATALOG_PLAYLISTS, Playlist(playlist_id="w", track_ids=("w1", "w2", "w3")))
    eventually(lambda: "w2" in by_playlist(here.ask(seeds=(Seed(track_id="w1"),), limit=20)))
    here.client.withdraw(CATALOG_PLAYLISTS, "w")
    eventually(lambda: by_playlist(here.ask(seeds=(Seed(track_id="w1"),), limit=20)) == [])


def test_playlists_of_any_shape_hold_nothing_up(here: Installation) -> None:
    shapes = {"none": (), "one": ("g0t0",), "same": ("g0t1",) * 100, "many": tuple(f"x{n}" for n in range(10_000))}
    lists = [Playlist(playlist_id=f"shape-{name}", track_ids=ids) for name, ids in shapes.items()]
    here.client.publish_many(CATALOG_PLAYLISTS, lists)
    eventually(lambda: has_learned(here, CATALOG_PLAYLISTS))
    assert here.ask(seeds=(Seed(track_id="g0t0"),)).status == "ok"
    assert not here.dead(CATALOG_PLAYLISTS)


def test_killed_while_it_learns_it_counts_each_record_once(stack: RunningStack, tmp_path: Path, prefix: str) -> None:
    here = Installation(stack, prefix, tmp_path)
    draw = random.Random(8)
    names = [f"t{n}" for n in range(400)]
    lists = [Playlist(playlist_id=f"p{n}", track_ids=tuple(draw.sample(names, 60))) for n in range(300)]
    again = [Playlist(playlist_id=f"p{n}", track_ids=tuple(draw.sample(names, 40))) for n in range(0, 100, 2)]
    heard = [tuple(draw.sample(names, 10)) for _ in range(200)]
    root = tmp_path / "cooccurrence" / "grown"
    with here.client:
        with here.worker(ROLES) as process:
            for n, tracks in enumerate(heard):
                session = ListeningSession(
                    session_id=f"s{n}",
                    user_id=f"u{n % 50}",
                    started_at_ms=1,
                    ended_at_ms=2,
                    tracks=tuple(SessionTrack(track_id=one) for one in tracks),
                )
                here.client.publish(LISTENING_SESSIONS, session)
            # Some twice, some changed, some withdrawn.
            here.client.publish_many(CATALOG_PLAYLISTS, [*lists, *lists[:50], *again])
            for n in range(100, 120):
                here.client.withdraw(CATALOG_PLAYLISTS, f"p{n}")
            eventually(lambda: sum(path.stat().st_size for path in root.glob("journal-*")) > 40_000)
            process.kill()
            process.wait(90)
        with here.worker(ROLES):
            eventually(lambda: has_learned(here, CATALOG_PLAYLISTS) and has_learned(here, LISTENING_SESSIONS))
    state = LearnedState.open(root, None, "grown", 7)
    state.close()
    current = {one.playlist_id: one.track_ids for one in [*lists, *again]}
    for n in range(100, 120):
        del current[f"p{n}"]
    expected = Counter(one for ids in [*current.values(), *heard] for one in ids)
    found = dict(zip(state.model.track_ids, state.model.skipgram.counts.tolist(), strict=True))
    assert found == {one: expected[one] for one in found}
    assert len(state.model.lists) == len(current) + len(heard)
