"""Secrets planted in every setting that may hold one are in no log, no output and no command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from streams.environment import SECRETS
from streams.settings import Settings
from streams.up import environment_of
from tests.integration.forked import ForkedProcess
from tests.integration.installation import Installation, eventually, track
from tests.integration.qdrant_stand_in import qdrant_stand_in
from tests.integration.secure import PLAIN, SCRAM_256, Certificates, SecureKafka, locked_redis, running
from topics.specs import CATALOG_TRACKS

CANARY = "canary-7c1d5e"
KAFKA, REDIS, QDRANT = f"{CANARY}-kafka", f"{CANARY}-redis", f"{CANARY}-qdrant"
ROLES = "catalogue,listening,learning,cooccurrence,recommendations"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Settings of an installation whose every part asks for a secret."""
    directory = tmp_path_factory.mktemp("parts")
    certificates = Certificates(directory)
    kafka = SecureKafka(directory / "kafka", certificates, {"worker": KAFKA})
    with (
        running(kafka.child()),
        locked_redis(directory / "redis", REDIS) as redis_port,
        qdrant_stand_in(certificates, QDRANT) as qdrant_url,
    ):
        yield {
            "kafka_url": kafka.address,
            "kafka_security_protocol": "SASL_SSL",
            "kafka_username": "worker",
            "kafka_password": KAFKA,
            "kafka_ca_file": str(certificates.ca_file),
            "redis_url": f"redis://:{REDIS}@127.0.0.1:{redis_port}/0",
            "qdrant_url": qdrant_url,
            "qdrant_api_key": QDRANT,
            "qdrant_ca_file": str(certificates.ca_file),
            "log_level": "debug",
        }


def test_every_secret_setting_is_planted(parts: dict[str, Any]) -> None:
    planted = {name for name, value in parts.items() if CANARY in str(value)}
    # Redis has two places for its password; one holds it here, and the other in the last test.
    assert planted == SECRETS - {"redis_password"} | {"redis_url"}


class Output:
    """What processes have written, and what their command lines say."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.directory = directory
        self.settings = Settings(**settings, data_dir=directory)
        self.environment = {**os.environ, **environment_of(self.settings)}
        self.command_lines: list[str] = []

    def run(self, *arguments: str) -> int:
        """The exit code of a command."""
        process = ForkedProcess("streams.cli", arguments, self.environment, self.directory / "output.log")
        try:
            return process.wait(90)
        finally:
            process.kill()

    @contextmanager
    def worker(self, ready: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A worker whose command line, and whose children's, are noted."""
        with (self.directory / "output.log").open("ab") as log:
            line = [sys.executable, "-m", "streams.cli", "worker", "--roles", ROLES, "--ready-file", str(ready)]
            process = subprocess.Popen(line, env=self.environment, stdout=log, stderr=log)
        try:
            eventually(lambda: ready.exists() or process.poll() is not None)
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            self.command_lines += [" ".join(one.cmdline()) for one in family]
            yield process
        finally:
            process.terminate()
            process.wait(90)

    def leaks(self) -> list[str]:
        """Lines of everything written under the directory that hold a canary."""
        written = [path.read_bytes() for path in self.directory.rglob("*") if path.is_file()]
        texts = [*(one.decode(errors="replace") for one in written), *self.command_lines, repr(self.settings)]
        return [line for text in texts for line in text.splitlines() if CANARY in line]


def test_worker_that_works_and_doctor_write_no_secret_even_when_everything_is_logged(
    parts: dict[str, Any], prefix: str, tmp_path: Path
) -> None:
    output = Output(tmp_path, {**parts, "topic_prefix": prefix})
    here = Installation.of(output.settings)
    with here.client, output.worker(tmp_path / "ready"):
        here.client.publish(CATALOG_TRACKS, track("known"))
        here.settled(CATALOG_TRACKS)
        assert [item.track_id for item in here.ask("ada").items] == ["known"]
        assert output.run("doctor") == 0
        assert output.run("doctor", "--json") == 0
        assert output.run("topics", "list") == 0
    log = (tmp_path / "output.log").read_text()
    assert "DEBUG" in log
    assert output.leaks() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"kafka_password": f"{CANARY}-wrong"},
        {"kafka_password": f"{CANARY}-wrong", "kafka_sasl_mechanism": PLAIN},
        {"kafka_password": f"{CANARY}-wrong", "kafka_sasl_mechanism": SCRAM_256, "log_level": "info"},
        {"redis_url": f"redis://:{CANARY}-wrong@127.0.0.1:PORT/0"},
        {"redis_url": f"redis://:{CANARY}/wr@ng@127.0.0.1:PORT/0"},
        {"redis_url": "redis://127.0.0.1:PORT/0", "redis_password": f"{CANARY}-wrong"},
        {"qdrant_api_key": f"{CANARY}-wrong"},
        {"qdrant_url": f"https://{CANARY}:{CANARY}@127.0.0.1:1"},
        {"kafka_url": f"worker:{CANARY}@127.0.0.1:1"},
    ],
    ids=lambda wrong: " ".join(wrong),
)
def test_worker_that_fails_and_doctor_write_no_secret(
    parts: dict[str, Any], prefix: str, tmp_path: Path, wrong: dict[str, str]
) -> None:
    port = parts["redis_url"].rpartition(":")[2].removesuffix("/0")
    given = {name: value.replace("PORT", port) for name, value in wrong.items()}
    right = Settings(**parts, topic_prefix=prefix, data_dir=tmp_path / "elsewhere")
    Installation.of(right).client.close()
    output = Output(tmp_path, {**parts, "topic_prefix": prefix})
    output.environment |= {f"THROUGHBEAT_{name.upper()}": value for name, value in given.items()}
    assert output.run("worker", "--roles", ROLES) == 1
    assert output.run("doctor") == 1
    assert output.run("worker", "--help") == 0
    assert (tmp_path / "output.log").stat().st_size > 0
    assert output.leaks() == []
