"""The ranking learns from the log: real Kafka, Redis and Qdrant Edge, workers that are processes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from kafka.admin import KafkaAdminClient

from models.bandit import Evidence
from recall.blends import BALANCED, NAMES
from recall.ranking_features import SIZE
from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.lag import lag_of
from streams.ranking import LIVE_POLICY
from streams.served_log import from_kafka, join
from streams.serving.announcements import read_updates
from streams.settings import Settings
from streams.state.connection import connect
from streams.state.evidence import EvidenceReader
from tests.integration.forked import command
from tests.integration.installation import Installation, eventually, features, track
from topics.records import RecommendationReply, Seed
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS, SERVED

ROLES = "catalogue,listening,recommendations"


@pytest.fixture(scope="module")
def here(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(stack, f"learn{time.monotonic_ns()}", tmp_path_factory.mktemp("learn"))
    with installation.client, installation.worker(ROLES):
        # Forty artists from quiet to loud, three tracks each; half are of a genre that is popular.
        installation.client.publish_many(
            CATALOG_TRACKS,
            (
                track(
                    f"t{artist}-{step}",
                    f"artist{artist}",
                    features=features(artist / 40, valence=artist / 40, acousticness=1 - artist / 40),
                    popularity=float(artist + step),
                    genres=("rock",) if artist % 2 else ("rock", "folk"),
                )
                for artist in range(40)
                for step in range(3)
            ),
        )
        installation.settled(CATALOG_TRACKS)
        yield installation


def ask(here: Installation, name: str, **fields: Any) -> RecommendationReply:
    """Somebody new each time, so that no session of theirs speaks: what is learnt is everybody's."""
    return here.ask(name, seeds=(Seed(track_id="t5-0"),), limit=20, surface="made_for_you", **fields)


def react(here: Installation, name: str, reply: RecommendationReply) -> int:
    """They hear to the end what is popular and leave at once what is not."""
    for item in reply.items[:12]:
        glad = "genre_popular" in item.channels
        here.listen(name, "play" if glad else "skip", item.track_id, request_id=reply.request_id)
    return len(reply.items[:12])


def popular(reply: RecommendationReply) -> list[int]:
    """The positions of what they like."""
    return [item.position for item in reply.items if "genre_popular" in item.channels]


def learnt(here: Installation) -> None:
    """Wait until the learning workers have acknowledged both topics."""
    admin = connection_of(here.settings).open(KafkaAdminClient)
    try:
        for spec in (SERVED, LISTENING_EVENTS):
            eventually(lambda spec=spec: lag_of(admin, spec, here.settings.topic_prefix, "learning") == 0)
    finally:
        admin.close()


async def stored(settings: Settings) -> Sequence[Evidence]:
    redis = connect(settings)
    try:
        return [one.evidence for one in (await EvidenceReader(redis, settings).changed() or {}).values()]
    finally:
        await redis.aclose()


def from_the_log(here: Installation) -> Evidence:
    """What the whole log teaches, joined at once, without a store."""
    evidence = Evidence(SIZE, here.settings.learning_half_life_days * 86_400_000)
    for followed in join(from_kafka(connection_of(here.settings), here.settings.topic_prefix), 24 * 3_600_000):
        for item in followed.served.items:
            if (earned := followed.reward(item.track_id)) is not None:
                row = np.array(item.features)
                evidence.learn(row, earned, at_ms=followed.served.served_at_ms, is_new=True)
    return evidence


async def test_what_listeners_finish_rises_for_all_and_a_killed_worker_counts_nothing_twice(here: Installation) -> None:
    before = ask(here, "before", exploration=0.0)
    assert before.models["bandit"] in ("prior", LIVE_POLICY)
    reactions = 0
    with here.worker("learning") as first:
        for number in range(12):
            reactions += react(here, f"a{number}", ask(here, f"a{number}"))
        first.kill()
        for number in range(12):
            reactions += react(here, f"b{number}", ask(here, f"b{number}"))
    with here.worker("learning") as second:
        for number in range(6):
            reactions += react(here, f"c{number}", ask(here, f"c{number}"))
        second.kill()
    with here.worker("learning"):
        learnt(here)
        now_ms = time.time() * 1000
        expected = from_the_log(here)
        found = await stored(here.settings)
        assert expected.worth(now_ms) * expected.count == pytest.approx(reactions, rel=1e-3)
        for name in ("count", "total", "moment", "gram"):
            total = sum(getattr(one, name) * one.worth(now_ms) for one in found)
            assert total == pytest.approx(getattr(expected, name) * expected.worth(now_ms), abs=1e-5), name
        eventually(lambda: "learned" in str(ask(here, f"x{time.monotonic_ns()}").items[0].why), within_s=5)
        after = ask(here, "after", exploration=0.0)
    assert after.models["bandit"] == LIVE_POLICY
    assert popular(after)[0] == 0 < popular(before)[0]
    assert len(popular(after)) > len(popular(before)) + 1
    glad = [item for item in after.items if "genre_popular" in item.channels]
    sorry = [item for item in after.items if "genre_popular" not in item.channels]
    assert min(one.why.contributions["learned"] for one in glad) > max(
        one.why.contributions["learned"] for one in sorry
    )


def test_explored_tracks_are_told_with_their_probabilities(here: Installation) -> None:
    reply = ask(here, "curious", exploration=0.2)
    explored = [item for item in reply.items if item.explored]
    assert len(explored) == 4
    assert all(item.position >= 3 and 0 < (item.propensity or 0) <= 1 for item in explored)
    assert not any(item.propensity for item in reply.items if not item.explored)
    assert not any(item.explored for item in ask(here, "settled", exploration=0.0).items)


def test_the_log_says_which_blend_of_channels_served_whom(here: Installation) -> None:
    answers = join(from_kafka(connection_of(here.settings), here.settings.topic_prefix), 24 * 3_600_000)
    live = [one.served for one in answers if one.served.policy_version == LIVE_POLICY]
    assert {one.listener for one in live} == {"new"}
    # By then some hundred tracks of the balanced blend were heard, and others have begun to be tried.
    assert BALANCED in {one.blend for one in live} <= set(NAMES)


def test_the_log_is_evaluated_and_versions_are_rolled_back_by_one_command(here: Installation) -> None:
    done = command(here.settings, "evaluate", "policy", "prior", "--json")
    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout)
    assert found["passed_over"] == 0
    assert found["explored"] > 60
    assert found["ips"]["low"] <= found["ips"]["value"] <= found["ips"]["high"]
    wrong = command(here.settings, "evaluate", "policy", "never-was")
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (1, 1)
    assert "prior" in wrong.stderr
    done = command(here.settings, "models", "promote", "bandit", "prior")
    assert done.returncode == 0, done.stderr
    eventually(lambda: ask(here, f"y{time.monotonic_ns()}").models["bandit"] == "prior", within_s=5)
    for name in ("old0", "old1", "old2"):
        react(here, name, ask(here, name))
    done = command(here.settings, "evaluate", "ab", "--json")
    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout)
    assert list(found["versions"]) == [LIVE_POLICY, "prior"]
    # What listeners finish was served more by the ranking that has learnt it.
    assert found["versions"]["prior"]["people"] in (3, 4)
    assert 0 < found["difference"]["completed"]["value"] < 1
    assert "difference" in command(here.settings, "evaluate", "ab", LIVE_POLICY, "prior").stdout
    assert command(here.settings, "models", "rollback", "bandit").stdout == "bandit live serves\n"
    told = read_updates(connection_of(here.settings), here.settings.topic_prefix)[0]["bandit"]
    assert (told.version, told.previous) == ("live", "prior")
    eventually(lambda: ask(here, f"z{time.monotonic_ns()}").models["bandit"] == LIVE_POLICY, within_s=5)
    listed = msgspec.json.decode(command(here.settings, "models", "list", "bandit", "--json").stdout)
    assert [one["version"] for one in listed if one["state"] == "serves"] == ["live"]


def test_a_ranking_that_is_off_keeps_the_order_of_the_channels(
    stack: RunningStack, prefix: str, tmp_path: Path
) -> None:
    off = Installation(stack, prefix, tmp_path, ranking="off")
    with off.client, off.worker(ROLES):
        off.client.publish_many(CATALOG_TRACKS, [track(f"t{n}-0", f"a{n}") for n in range(40)])
        off.settled(CATALOG_TRACKS)
        reply = ask(off, "somebody")
    assert reply.models["bandit"] == "off"
    assert not any(item.explored for item in reply.items)
    assert all("learned" not in (item.why.contributions if item.why else {}) for item in reply.items)
