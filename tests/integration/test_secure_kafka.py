"""Kafka with passwords and TLS: workers, clients and commands get in, and say in one line why when they do not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.settings import Settings
from tests.integration import forked
from tests.integration.installation import Installation, track
from tests.integration.secure import PLAIN, SCRAM_256, SCRAM_512, Certificates, SecureKafka, running
from topics.connection import BrokerUnavailable
from topics.specs import CATALOG_TRACKS

USER, PASSWORD = "worker", "open-sesame-7"
COMMANDS = {
    "worker": ["worker", "--roles", "listening"],
    "topics": ["topics", "create"],
    "recommend": ["recommend", "--user", "ada"],
    "publish": ["publish", "--topic", "catalog.tracks", "--withdraw", "t1"],
    "dead-letters": ["dead-letters", "list"],
    "import": ["import", "tracks", "FILE"],
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def kafka(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    broker = SecureKafka(tmp_path_factory.mktemp("kafka"), certificates, {USER: PASSWORD})
    with running(broker.child()):
        yield broker


def entry(kafka: SecureKafka, **more: Any) -> dict[str, Any]:
    """The settings that open the door."""
    return {
        "kafka_url": kafka.address,
        "kafka_security_protocol": "SASL_SSL",
        "kafka_username": USER,
        "kafka_password": PASSWORD,
        "kafka_ca_file": str(kafka.certificates.ca_file),
        **more,
    }


@pytest.mark.parametrize("mechanism", [PLAIN, SCRAM_256, SCRAM_512])
def test_worker_client_and_commands_get_in_with_the_password(
    kafka: SecureKafka, stack: RunningStack, prefix: str, tmp_path: Path, mechanism: str
) -> None:
    here = Installation(stack, prefix, tmp_path, **entry(kafka, kafka_sasl_mechanism=mechanism))
    catalogue = tmp_path / "tracks.csv"
    catalogue.write_text("track_id,title,artist_id,artist_name\nimported,Imported,a,A\n")
    with here.client, here.worker():
        here.client.publish(CATALOG_TRACKS, track("known", "a"))
        done = command(here.settings, "import", "tracks", str(catalogue))
        assert done.returncode == 0, done.stderr
        here.settled(CATALOG_TRACKS)
        here.listen("ada", "play", "imported")
        found = [item.track_id for item in here.ask("ada").items]
        assert found == ["known"]
        done = command(here.settings, "doctor")
        assert (done.returncode, "FAIL" in done.stdout) == (0, False), done.stdout


def test_client_with_a_certificate_of_its_own_needs_no_password(kafka: SecureKafka, certificates: Certificates) -> None:
    settings = Settings(
        kafka_url=kafka.tls_address,
        kafka_security_protocol="SSL",
        kafka_ca_file=str(certificates.ca_file),
        kafka_certificate_file=str(certificates.client_certificate_file),
        kafka_key_file=str(certificates.client_key_file),
    )
    admin = connection_of(settings).open(KafkaAdminClient)
    assert isinstance(admin.list_topics(), list)
    admin.close()


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command; once more where the broker, on a busy machine, took longer than a command waits for it."""
    deadline = time.monotonic() + 60
    while True:
        done = forked.command(settings, *arguments)
        if "no Kafka answers" not in done.stderr or time.monotonic() > deadline:
            return done


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_password_ends_every_command_with_one_line_that_says_what_to_do(
    kafka: SecureKafka, tmp_path: Path, name: str
) -> None:
    catalogue = tmp_path / "tracks.csv"
    catalogue.write_text("track_id,title,artist_id,artist_name\nt,T,a,A\n")
    arguments = [str(catalogue) if word == "FILE" else word for word in COMMANDS[name]]
    wrong = Settings(**entry(kafka, kafka_password="let-me-in-9", data_dir=tmp_path))
    done = command(wrong, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"Kafka at {kafka.address} by SASL_SSL does not let user 'worker' in with SCRAM-SHA-512" in done.stderr
    assert "THROUGHBEAT_KAFKA_PASSWORD" in done.stderr
    assert "let-me-in-9" not in done.stderr


@pytest.mark.parametrize("name", ["worker", "topics"])
def test_authority_that_nobody_told_us_of_ends_a_command_with_one_line(
    kafka: SecureKafka, certificates: Certificates, tmp_path: Path, name: str
) -> None:
    wrong = Settings(**entry(kafka, kafka_ca_file=str(certificates.other_ca_file), data_dir=tmp_path))
    done = command(wrong, *COMMANDS[name])
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert f"the certificate of Kafka at {kafka.address} by SASL_SSL is not trusted" in done.stderr
    assert "THROUGHBEAT_KAFKA_CA_FILE" in done.stderr


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"kafka_username": "nobody"}, "does not let user 'nobody' in.*THROUGHBEAT_KAFKA_USERNAME"),
        ({"kafka_ca_file": ""}, "is not trusted.*THROUGHBEAT_KAFKA_CA_FILE"),
        ({"kafka_ca_file": "KEY"}, "expected certificates in PEM.*THROUGHBEAT_KAFKA_CA_FILE"),
        ({"kafka_ca_file": "/nope.pem"}, r"/nope\.pem: .*No such file.*THROUGHBEAT_KAFKA_CA_FILE"),
        ({"kafka_certificate_file": "/nope.pem"}, r"/nope\.pem: .*THROUGHBEAT_KAFKA_CERTIFICATE_FILE"),
        ({"kafka_security_protocol": "PLAINTEXT"}, "does not speak PLAINTEXT.*THROUGHBEAT_KAFKA_SECURITY_PROTOCOL"),
        ({"kafka_url": "PLAIN"}, "does not speak SASL_SSL.*THROUGHBEAT_KAFKA_SECURITY_PROTOCOL"),
        (
            {"kafka_url": "TLS", "kafka_security_protocol": "SSL"},
            "wants a certificate of ours.*THROUGHBEAT_KAFKA_CERTIFICATE_FILE",
        ),
    ],
    ids=lambda value: next(iter(value.items()))[1] if isinstance(value, dict) else "",
)
def test_each_setting_that_may_be_wrong_is_named(kafka: SecureKafka, changed: dict[str, str], told: str) -> None:
    places = {"KEY": str(kafka.certificates.key_file), "PLAIN": kafka.embedded.bootstrap, "TLS": kafka.tls_address}
    settings = Settings(**entry(kafka, **{name: places.get(value, value) for name, value in changed.items()}))
    with pytest.raises(BrokerUnavailable, match=told) as refused:
        connection_of(settings).open(KafkaAdminClient)
    assert "\n" not in str(refused.value)


def test_host_that_the_certificate_is_not_for_is_refused(kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    # 127.0.0.2 reaches the same port, and the certificate names 127.0.0.1 and localhost.
    elsewhere = kafka.address.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(BrokerUnavailable, match=r"not trusted|no Kafka answers"):
        connection_of(Settings(**entry(kafka, kafka_url=elsewhere))).open(KafkaAdminClient)
