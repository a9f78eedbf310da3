"""`throughbeat publish`, `recommend` and `topics` on a real broker, with a responder in the place of the workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.embedded.stack import RunningStack
from tests.integration.responder import responding, stored
from topics.admin import create_topics
from topics.codec import decode
from topics.connection import Connection
from topics.records import (
    ArtistRef,
    Item,
    RecommendationReply,
    RecommendationRequest,
    ReplyError,
    Seed,
    Why,
)

GOOD = '{"event_id": "e%d", "user_id": "u%d", "track_id": "t", "kind": "play", "occurred_at_ms": 1, "later": "field"}'


class Here:
    """The command on one installation of its own."""

    def __init__(self, stack: RunningStack, prefix: str) -> None:
        self.connection = Connection(stack.kafka_bootstrap)
        self.prefix = prefix
        create_topics(self.connection, prefix)

    def run(self, *arguments: str, lines: str | None = None) -> Result:
        place = ["--kafka", self.connection.bootstrap_servers, "--prefix", self.prefix]
        return CliRunner().invoke(app, [*arguments, *place], input=lines)

    def arrived(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        return [(record.key, record.value) for record in stored(self.connection, f"{self.prefix}.{topic}")]


@pytest.fixture
def here(stack: RunningStack, prefix: str) -> Here:
    return Here(stack, prefix)


def test_lines_are_sent_as_they_are_under_their_key_and_counted(here: Here, tmp_path: Path) -> None:
    lines = [GOOD % (number, number % 3) for number in range(100)]
    file = tmp_path / "plays.jsonl"
    file.write_text("\n".join(lines) + "\n\n")
    result = here.run("publish", str(file), "--topic", "listening.events")
    assert (result.exit_code, result.stdout) == (0, "100 acknowledged\n")
    expected = [(f"u{number % 3}".encode(), line.encode()) for number, line in enumerate(lines)]
    assert sorted(here.arrived("listening.events")) == sorted(expected)


def test_bad_line_is_told_with_its_number_and_the_others_are_sent(here: Here) -> None:
    lines = "\n".join([GOOD % (1, 1), "nonsense", "", '{"event_id": "e"}', GOOD % (2, 2)])
    result = here.run("publish", "-", "--topic", "listening.events", lines=lines)
    assert (result.exit_code, result.stdout) == (1, "2 acknowledged, 2 refused\n")
    told = result.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == ["line 2", "line 4"]
    assert "undecodable: expected JSON" in told[0]
    assert "invalid: Object missing required field `user_id`" in told[1]
    assert len(here.arrived("listening.events")) == 2


def test_raw_sends_anything_and_takes_the_key_that_the_line_says(here: Here) -> None:
    lines = 'nonsense\n{"user_id": "ada"}\n'
    result = here.run("publish", "-", "--topic", "listening.events", "--raw", "--json", lines=lines)
    assert json.loads(result.stdout) == {"acknowledged": 2, "refused": 0, "failed": 0}
    assert set(here.arrived("listening.events")) == {(None, b"nonsense"), (b"ada", b'{"user_id": "ada"}')}
    here.run("publish", "-", "--topic", "catalog.tracks", "--raw", "--key", "t1", lines="bad")
    assert here.arrived("catalog.tracks") == [(b"t1", b"bad")]


def test_line_that_the_broker_refuses_is_told_and_the_others_are_sent(here: Here) -> None:
    # A compacted topic takes no record without a key; records that left in one batch with it share its fate.
    lines = "nonsense\n" + "".join(f'{{"track_id": "t{number}"}}\n' for number in range(20_000))
    result = here.run("publish", "-", "--topic", "catalog.tracks", "--raw", "--json", lines=lines)
    assert result.exit_code == 1
    counts = json.loads(result.stdout)
    assert counts["acknowledged"] + counts["failed"] == 20_001
    assert counts["acknowledged"] > counts["failed"] > 0
    assert result.stderr.startswith(f"line 1: {here.prefix}.catalog.tracks: not acknowledged: ")
    assert result.stderr.count("\n") == counts["failed"]


def test_withdrawn_track_is_a_null_value(here: Here) -> None:
    result = here.run("publish", "--topic", "catalog.tracks", "--withdraw", "t1", "--withdraw", "t2")
    assert (result.exit_code, result.stdout) == (0, "2 acknowledged\n")
    assert sorted(here.arrived("catalog.tracks")) == [(b"t1", None), (b"t2", None)]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["publish", "--topic", "listening.event", "-"], 1, "expected one of catalog.artists"),
        (["publish", "--topic", "listening.events"], 2, "expected either a FILE or --withdraw ID"),
        (["publish", "--topic", "privacy.requests", "-"], 2, "use --raw"),
        (["publish", "--topic", "listening.events", "--withdraw", "e"], 1, "expected a catalogue topic"),
        (["publish", "--topic", "listening.events", "/no/such/file"], 1, "/no/such/file: No such file"),
        (["recommend", "--surface", "shop"], 2, "'release_radar'"),
        (["recommend", "--limit", "501"], 2, "500"),
        (["recommend", "--deadline-ms", "100"], 1, "is a worker running? See `throughbeat doctor`"),
    ],
)
def test_mistake_is_one_line_that_says_what_to_do(here: Here, arguments: list[str], code: int, told: str) -> None:
    result = here.run(*arguments, lines="")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("throughbeat: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


def answer(asked: RecommendationRequest) -> RecommendationReply:
    item = Item(
        position=0,
        track_id="t1",
        title="Time [bold]Is[/] Running Out",
        artists=(ArtistRef(artist_id="a", name="Muse"), ArtistRef(artist_id="b")),
        score=0.8,
        channels={"playlist": 1, "acoustic": 0},
        explored=True,
        propensity=0.25,
        why=Why(text="same energy as your session"),
    )
    request_id, user_id = asked.request_id, asked.user_id
    if asked.user_id == "nobody":
        error = ReplyError(code="unknown_seed", message="expected a track, got 'x'\nin a seed")
        return RecommendationReply(request_id=request_id, user_id=user_id, status="error", error=error)
    return RecommendationReply(
        request_id=request_id, user_id=user_id, status="partial", items=(item,), degraded=("embedding",), took_ms=7.4
    )


def test_recommend_asks_what_its_options_say(here: Here) -> None:
    seeds = ("track:t1", "artist:a1", "playlist:p1", "Absolution: the album", "album:x", "track:")
    with responding(here.connection, here.prefix, lambda asked: [answer(asked)]) as responder:
        result = here.run(
            *("recommend", "--user", "ada", "--limit", "5", "--surface", "radio", "--breadth", "0.3"),
            *("--exploration", "0.1", "--market", "SE", "--exclude-heard-days", "28", "--deadline-ms", "5000"),
            *(part for seed in seeds for part in ("--seed", seed)),
        )
    assert result.exit_code == 0, result.output
    asked = decode(responder.asked[0].value, RecommendationRequest)
    assert asked.seeds == (
        Seed(track_id="t1"),
        Seed(artist_id="a1"),
        Seed(playlist_id="p1"),
        *(Seed(query=text) for text in seeds[3:]),
    )
    assert (asked.user_id, asked.limit, asked.surface, asked.breadth, asked.exploration) == (
        "ada",
        5,
        "radio",
        0.3,
        0.1,
    )
    assert asked.filters is not None
    assert (asked.filters.market, asked.filters.exclude_heard_days, asked.deadline_ms) == ("SE", 28.0, 5000)


def test_recommend_shows_what_why_and_how_long(here: Here) -> None:
    with responding(here.connection, here.prefix, lambda asked: [answer(asked)]):
        shown = here.run("recommend", "--user", "ada").stdout
        as_json = json.loads(here.run("recommend", "--json").stdout)
    for text in (
        "Time [bold]Is[/] Running Out",
        "Muse, b",
        "same energy as your session (tried out, by a chance of 25%)",
        "acoustic 1, playlist 2",
        "1 tracks",
        "7.4 ms of it in the recommender",
        "left out: embedding",
    ):
        assert text in shown
    assert as_json["items"][0]["track_id"] == "t1"
    assert as_json["user_id"] is None
    assert as_json["round_trip_ms"] > 0


def test_error_reply_is_one_line_with_its_code(here: Here) -> None:
    with responding(here.connection, here.prefix, lambda asked: [answer(asked)]):
        result = here.run("recommend", "--user", "nobody")
        as_json = here.run("recommend", "--user", "nobody", "--json")
    assert result.exit_code == as_json.exit_code == 1
    assert result.stderr == "throughbeat: unknown_seed: expected a track, got 'x' in a seed\n"
    assert result.stdout == ""
    assert json.loads(as_json.stdout)["error"]["code"] == "unknown_seed"


def test_topics_are_created_told_and_listed(here: Here) -> None:
    assert here.run("topics", "create").stdout == "created 0, already there 19\n"
    here.run("publish", "--topic", "catalog.tracks", "--withdraw", "t1")
    rows = {row["name"]: row for row in json.loads(here.run("topics", "list", "--json").stdout)}
    tracks = rows[f"{here.prefix}.catalog.tracks"]
    assert (tracks["exists"], tracks["partitions"], tracks["records"]) == (True, 4, 1)
    assert sum(tracks["end_offsets"].values()) == 1
    assert f"{here.prefix}.recommendation.requests.dead" in here.run("topics", "list").stdout
    here.prefix = f"{here.prefix}x"
    assert "throughbeat topics create" in here.run("topics", "list").stdout
    done = json.loads(here.run("topics", "create", "--partitions", "2", "--json").stdout)
    assert len(done["created"]) == 19
