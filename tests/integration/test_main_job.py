"""The main job, end to end: real Kafka, Redis and Qdrant Edge, a worker that is a process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.embedded.stack import RunningStack
from tests.integration.installation import NOW_MS, Installation, eventually, features, track
from topics.records import Artist, Filters, Playlist, Seed
from topics.specs import CATALOG_ARTISTS, CATALOG_PLAYLISTS, CATALOG_TRACKS, LISTENING_EVENTS


@pytest.fixture(scope="module")
def here(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(stack, f"main{time.monotonic_ns()}", tmp_path_factory.mktemp("main"))
    with installation.client, installation.worker():
        # Forty artists from quiet to loud, three tracks each: near in number sounds near.
        installation.client.publish_many(
            CATALOG_TRACKS,
            (
                track(
                    f"t{artist}-{step}",
                    f"artist{artist}",
                    features=features(artist / 40, valence=artist / 40, acousticness=1 - artist / 40),
                    popularity=float(artist),
                    genres=("loud",) if artist >= 20 else ("quiet",),
                )
                for artist in range(40)
                for step in range(3)
            ),
        )
        installation.settled(CATALOG_TRACKS)
        yield installation


def ids(reply: object) -> list[str]:
    return [item.track_id for item in reply.items]


def artist_number(track_id: str) -> int:
    return int(track_id[1:].split("-")[0])


def test_seed_leads_to_what_sounds_alike_with_reasons_that_sum(here: Installation) -> None:
    reply = here.ask(seeds=(Seed(track_id="t5-0"),), limit=10)
    assert reply.status == "ok"
    assert "t5-0" not in ids(reply)
    assert len(set(ids(reply))) == 10
    assert all(artist_number(found) < 20 for found in ids(reply)[:5])
    for item in reply.items:
        assert item.why is not None
        assert item.score == pytest.approx(sum(item.why.contributions.values()), abs=1e-4)
        assert item.channels
    assert reply.models["embeat_mlp"]


def test_skip_changes_the_next_answer(here: Installation) -> None:
    for step in range(3):
        here.listen("skipper", "play", f"t30-{step}")
    before = here.ask("skipper", limit=10)
    disliked = before.items[0]
    here.listen("skipper", "skip", disliked.track_id, played_ms=500)
    after = here.ask("skipper", limit=10)
    assert disliked.track_id not in ids(after)
    assert any("session_skipped" in item.why.contributions for item in here.ask("skipper", limit=100).items)
    assert after.watermark == {key: max(value, after.watermark[key]) for key, value in before.watermark.items()}


def test_release_is_offered_to_a_listener_of_its_artist(here: Installation) -> None:
    for step in range(2):
        here.listen("fan", "play", f"t12-{step}")
    here.ask("fan")
    here.client.publish(CATALOG_TRACKS, track("brand-new", "artist12", title="Brand New", features=features(0.9)))
    eventually(lambda: "brand-new" in ids(here.ask("fan", limit=10)))
    item = next(item for item in here.ask("fan", limit=10).items if item.track_id == "brand-new")
    assert "artist12" in item.why.text
    here.client.withdraw(CATALOG_TRACKS, "brand-new")
    eventually(lambda: "brand-new" not in ids(here.ask("fan", limit=100)))


def test_heard_disliked_blocked_and_excluded_never_come(here: Installation) -> None:
    here.listen("picky", "play", "t20-0")
    here.listen("picky", "dislike", "t21-0")
    here.listen("picky", "block_artist", artist_id="artist22")
    reply = here.ask("picky", limit=500, filters=Filters(exclude_track_ids=("t23-0",)))
    forbidden = {"t20-0", "t21-0", "t22-0", "t22-1", "t22-2", "t23-0"}
    assert not forbidden & set(ids(reply))
    assert len(ids(reply)) >= 100
    here.listen("picky", "unrate", "t21-0")
    here.listen("picky", "unblock_artist", artist_id="artist22")
    assert {"t21-0", "t22-0"} <= set(ids(here.ask("picky", limit=500)))


def test_filters_hold(here: Installation) -> None:
    reply = here.ask(limit=100, filters=Filters(genres_any=("quiet",), features={"energy": (0.2, 0.3)}))
    assert {artist_number(found) for found in ids(reply)} == {8, 9, 10, 11, 12}


def test_errors_are_answers_that_say_what_was_expected(here: Installation) -> None:
    unknown = here.ask(seeds=(Seed(track_id="nowhere"),))
    assert (unknown.status, unknown.error.code) == ("error", "unknown_seed")
    late = here.ask(sent_at_ms=int(time.time() * 1000) - 5_000, deadline_ms=100)
    assert (late.status, late.error.code) == ("error", "deadline_exceeded")


def test_answer_names_events_that_did_not_count_in_time(here: Installation) -> None:
    reply = here.ask("nobody", after={"0": 10**9}, deadline_ms=300)
    assert reply.status == "partial"
    # Beside it may stand a channel: 50 ms are kept back for them, which a busy machine does not always keep.
    assert reply.degraded[0] == "after"
    assert reply.took_ms < 1_000


def test_artists_genres_reach_tracks_whichever_comes_first(here: Installation) -> None:
    quiet = Filters(genres_any=("late genre",))
    here.client.publish(CATALOG_ARTISTS, Artist(artist_id="lender", genres=("late genre",)))
    here.settled(CATALOG_ARTISTS)
    here.client.publish(CATALOG_TRACKS, track("after-artist", "lender"))
    eventually(lambda: "after-artist" in ids(here.ask(filters=quiet)))
    here.client.publish(CATALOG_TRACKS, track("before-artist", "later"))
    here.settled(CATALOG_TRACKS)
    here.client.publish(CATALOG_ARTISTS, Artist(artist_id="later", genres=("late genre",)))
    eventually(lambda: {"before-artist", "after-artist"} == set(ids(here.ask(filters=quiet))))


def test_playlist_is_a_seed(here: Installation) -> None:
    here.client.publish(CATALOG_PLAYLISTS, Playlist(playlist_id="p", track_ids=("t35-0", "t36-0")))
    here.settled(CATALOG_PLAYLISTS)
    reply = here.ask(seeds=(Seed(playlist_id="p"),), limit=5)
    assert all(artist_number(found) >= 20 for found in ids(reply))


def test_older_record_never_replaces_a_newer_one(here: Installation) -> None:
    for stamp, title in ((200, "Newer"), (100, "Older"), (200, "Newest")):
        here.client.publish(CATALOG_TRACKS, track("stamped", "stamps", title=title, updated_at_ms=NOW_MS + stamp))
    here.settled(CATALOG_TRACKS)
    reply = here.ask(seeds=(Seed(artist_id="stamps"), Seed(track_id="t0-0")), limit=1)
    assert reply.status == "ok"
    assert here.ask(seeds=(Seed(query="Newest - Name stamps"),)).status == "ok"
    assert here.ask(seeds=(Seed(query="Older - Name stamps"),)).error.code == "unknown_seed"


def test_track_without_features_is_found_by_other_channels(here: Installation) -> None:
    here.client.publish(CATALOG_TRACKS, track("mute", "artist33", features=None, popularity=100.0))
    here.settled(CATALOG_TRACKS)
    found = next(i for i in here.ask(seeds=(Seed(track_id="t33-0"),), limit=30).items if i.track_id == "mute")
    assert "acoustic" not in found.channels


def test_plays_count_before_their_track_arrives(here: Installation) -> None:
    here.listen("early", "play", "not-yet")
    here.listen("early", "dislike", "not-yet-either")
    here.ask("early")
    for name, artist in (("not-yet", "artist39"), ("not-yet-either", "artist38")):
        here.client.publish(CATALOG_TRACKS, track(name, artist))
    here.settled(CATALOG_TRACKS, LISTENING_EVENTS)
    found = ids(here.ask("early", limit=20))
    assert not {"not-yet", "not-yet-either"} & set(found)
    assert "t39-0" in found


def test_worker_started_anew_still_has_everything(stack: RunningStack, prefix: str, tmp_path: Path) -> None:
    again = Installation(stack, prefix, tmp_path)
    with again.client:
        with again.worker() as first:
            again.client.publish(CATALOG_TRACKS, track("kept", "k"))
            again.client.publish(CATALOG_TRACKS, track("kept-too", "k", title="Other"))
            again.listen("u", "play", "kept")
            again.settled(CATALOG_TRACKS, LISTENING_EVENTS)
            first.kill()
            first.wait()
        with again.worker():
            assert ids(again.ask("u")) == ["kept-too"]
