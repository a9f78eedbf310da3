"""Requests and records at the edge of what anybody sends: each has an answer that says what it is."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from tests.integration.installation import NOW_MS, Installation, eventually, features, track
from tests.integration.responder import stored
from topics.records import ArtistRef, Filters, Listen, RecommendationReply, Seed, Track
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS, REPLIES, REQUESTS, full_name

HEARD, TRACKS = 100_000, 60
# As long as a title may be.
LONG = " ".join(f"w{n}" for n in range(1_000))[:2_000]
HEBREW, ARABIC = "ירושלים של זהב", "نسم علينا الهوى"


def catalogue() -> list[Track]:
    plain = [track(f"t{n}", f"a{n}", features=features(n / TRACKS), popularity=n) for n in range(TRACKS)]
    return [
        *plain,
        Track(track_id="bare", title="Bare", artists=(ArtistRef(artist_id="b", name="Nobody"),)),
        Track(track_id="orphan", title="Orphan", artists=(), features=features(0.5)),
        track("long", "l", title=LONG, features=features(0.5)),
        track("hebrew", "h", title=HEBREW, features=features(0.4)),
        # A title whose signs are also told to run the other way.
        track("arabic", "r", title=f"\u202e{ARABIC}\u202c", features=features(0.6)),
    ]


@pytest.fixture(scope="module")
def here(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(stack, f"hard{time.monotonic_ns()}", tmp_path_factory.mktemp("hard"))
    with installation.client, installation.worker() as worker:
        installation.client.publish_many(CATALOG_TRACKS, catalogue())
        installation.settled(CATALOG_TRACKS)
        yield installation
        assert worker.poll() is None, "the worker stopped"


def ids(reply: RecommendationReply) -> list[str]:
    return [item.track_id for item in reply.items]


def test_seeds_that_do_not_exist_are_named_and_one_that_does_is_enough(here: Installation) -> None:
    none = here.ask(seeds=(Seed(track_id="no"), Seed(artist_id="such"), Seed(playlist_id="seed")))
    assert none.error is not None
    assert (none.status, none.error.code) == ("error", "unknown_seed")
    assert "track:no, artist:such, playlist:seed" in none.error.message
    some = here.ask(seeds=(Seed(track_id="no"), Seed(track_id="t3")))
    assert (some.status, some.degraded) == ("partial", ("seed:track:no",))
    assert some.items


def refusal(here: Installation, **fields: object) -> str:
    """Why a request that our own client would not send is refused."""
    request_id = uuid.uuid4().hex
    value = json.dumps({"request_id": request_id, **fields}).encode()
    here.client.post_bytes(REQUESTS, request_id.encode(), value).result(20)
    topic = full_name(REPLIES, here.settings.topic_prefix)

    def told() -> list[dict[str, Any]]:
        records = (json.loads(one.value) for one in stored(connection_of(here.settings), topic))
        return [one for one in records if one["request_id"] == request_id]

    eventually(lambda: bool(told()))
    (reply,) = told()
    assert (reply["status"], reply["error"]["code"]) == ("error", "invalid_request")
    return str(reply["error"]["message"])


def test_five_hundred_seeds_are_refused_and_a_hundred_are_answered(here: Installation) -> None:
    seeds = [{"track_id": f"t{n % TRACKS}"} for n in range(500)]
    assert "100" in refusal(here, seeds=seeds)
    answered = here.ask(seeds=tuple(Seed(**one) for one in seeds[:100]), limit=500)
    assert answered.status == "ok"
    assert not set(ids(answered)) & {f"t{n}" for n in range(TRACKS)}


def test_filters_that_contradict_are_an_empty_list_that_says_why(here: Installation) -> None:
    filters = Filters(released_from="2020", released_to="2010", genres_any=("a",), genres_none=("a",))
    reply = here.ask(seeds=(Seed(track_id="t1"),), filters=filters)
    assert (reply.status, reply.error, reply.items) == ("ok", None, ())
    assert reply.notes == (
        "released_from 2020 is after released_to 2010",
        "every genre of genres_any is in genres_none",
    )


@pytest.mark.parametrize(("limit", "bound"), [(0, ">= 1"), (-1, ">= 1"), (501, "<= 500"), (10**9, "<= 500")])
def test_limits_out_of_range_are_refused_with_the_range(here: Installation, limit: int, bound: str) -> None:
    message = refusal(here, limit=limit)
    assert bound in message
    assert "limit" in message


@pytest.mark.parametrize("seed", ["bare", "orphan", "long", "hebrew", "arabic"])
def test_odd_tracks_are_seeds_and_results_like_any_other(here: Installation, seed: str) -> None:
    reply = here.ask(seeds=(Seed(track_id=seed),), limit=100)
    assert reply.status == "ok"
    assert {"orphan", "long", "hebrew", "arabic"} - {seed} <= set(ids(reply))
    assert seed not in ids(reply)


def test_very_long_and_right_to_left_titles_are_found_by_their_words(here: Installation) -> None:
    for query, meant in ((HEBREW, "hebrew"), (ARABIC, "arabic"), (LONG[:500], "long")):
        reply = here.ask(seeds=(Seed(query=query),), limit=5)
        assert [one.track_id for one in reply.understood] == [meant], query
        assert len(reply.items) == 5
    titles = {item.track_id: item.title for item in here.ask(seeds=(Seed(track_id="t1"),), limit=100).items}
    assert titles["arabic"] == f"\u202e{ARABIC}\u202c"
    assert titles["long"] == LONG


def test_title_of_ten_thousand_characters_is_set_aside_with_what_it_may_have(here: Installation) -> None:
    record = {"track_id": "endless", "title": "x" * 10_000, "artists": []}
    here.client.post_bytes(CATALOG_TRACKS, b"endless", json.dumps(record).encode()).result(20)
    here.settled(CATALOG_TRACKS)
    (letter,) = here.dead(CATALOG_TRACKS)
    assert dict(letter.headers)["dead_reason"] == b"invalid"
    assert b"2000" in dict(letter.headers)["dead_message"]
    assert here.ask(seeds=(Seed(query="x" * 500),)).status == "error"


def test_one_who_heard_a_hundred_thousand_tracks_is_answered_without_the_last_of_them(here: Installation) -> None:
    run = uuid.uuid4().hex[:6]
    # The last few are the catalogue's own; all before are of no catalogue.
    names = [*(f"{run}-{n}" for n in range(HEARD - 40)), *(f"t{n}" for n in range(40))]
    here.client.publish_many(
        LISTENING_EVENTS,
        (
            Listen(event_id=f"{run}{n}", user_id=run, track_id=name, kind="play", occurred_at_ms=NOW_MS + n)
            for n, name in enumerate(names)
        ),
    )
    here.settled(LISTENING_EVENTS)
    reply = here.ask(run, limit=100)
    assert reply.status == "ok"
    assert {f"t{n}" for n in range(40, TRACKS)} <= set(ids(reply))
    assert not {f"t{n}" for n in range(40)} & set(ids(reply))
