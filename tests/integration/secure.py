"""Servers that ask for passwords and speak TLS, with certificates of an authority made for the test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import redis
import trustme
from cryptography.hazmat.primitives import serialization

from streams.embedded.child import Child
from streams.embedded.kafka import EmbeddedKafka, java_command, kafka_child
from streams.embedded.ports import HOST, free_port
from streams.embedded.redis import EmbeddedRedis, binary_path, redis_child, server_flags
from streams.embedded.stack import RunningPart

PLAIN, SCRAM_256, SCRAM_512 = "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"
_MODULES = {PLAIN: "plain.PlainLoginModule", SCRAM_256: "scram.ScramLoginModule", SCRAM_512: "scram.ScramLoginModule"}
DEBIAN_REDIS = shutil.which("redis-server")


class Certificates:
    """An authority, and what it issued, as PEM files of a directory.

    Attributes:
        ca_file: the authority itself: what clients are told to trust.
        other_ca_file: an authority that has signed nothing here.
        certificate_file: the server's, for 127.0.0.1 and localhost.
        client_certificate_file: of a client that calls itself `worker`.
    """

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        server = authority.issue_cert(HOST, "localhost")
        client = authority.issue_cert("worker.example", common_name="worker")
        names = ("ca", "other-ca", "server", "server-key", "client", "client-key")
        files = [directory / f"{name}.pem" for name in names]
        self.ca_file, self.other_ca_file, self.certificate_file, self.key_file = files[:4]
        self.client_certificate_file, self.client_key_file = files[4:]
        authority.cert_pem.write_to_path(self.ca_file)
        trustme.CA().cert_pem.write_to_path(self.other_ca_file)
        for issued, certificate, key in ((server, *files[2:4]), (client, *files[4:])):
            issued.cert_chain_pems[0].write_to_path(certificate)
            key.write_bytes(_pkcs8(issued.private_key_pem.bytes()))


def _pkcs8(key: bytes) -> bytes:
    """The only form of a key that Kafka reads."""
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass(frozen=True)
class SecureKafka:
    """A broker with a SASL_SSL and an SSL listener; the third, without either, is for its own use and for probes.

    Attributes:
        users: name -> password, the same for every mechanism.
        more: settings of the broker on top.
    """

    directory: Path
    certificates: Certificates
    users: Mapping[str, str]
    more: Mapping[str, str] = field(default_factory=dict)
    sasl_port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)

    @cached_property
    def embedded(self) -> EmbeddedKafka:
        """The broker without its locks."""
        return EmbeddedKafka(self.directory)

    @property
    def address(self) -> str:
        """Of the SASL_SSL listener."""
        return f"{HOST}:{self.sasl_port}"

    @property
    def tls_address(self) -> str:
        """Of the listener that knows clients by their certificates."""
        return f"{HOST}:{self.tls_port}"

    def child(self) -> Child:
        """How to run it."""
        return replace(kafka_child(self.embedded), prepare=self.prepare)

    def prepare(self) -> None:
        """The embedded broker's preparation, then the locks."""
        kafka, fresh = self.embedded, self.embedded.cluster_id() is None
        kafka.prepare()
        settings = {**_read_properties(kafka.directory / "server.properties"), **self._settings(kafka), **self.more}
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        (kafka.directory / "server.properties").write_text(text)
        if fresh:
            # Formatted anew: users of SCRAM can only be there from the start.
            shutil.rmtree(kafka.directory / "records")
            tool = ["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", "server.properties"]
            self.run_tool(*tool, *self._scram_users())

    def run_tool(self, *command: str) -> str:
        """What one of Kafka's own programs says.

        Raises:
            CalledProcessError: it failed.
        """
        done = subprocess.run(
            java_command(self.embedded.cache_dir, *command),
            cwd=self.embedded.directory,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def _scram_users(self) -> Sequence[str]:
        each = [(kind, *user) for kind in (SCRAM_256, SCRAM_512) for user in self.users.items()]
        options = [("--add-scram", f"{kind}=[name={name},password={password}]") for kind, name, password in each]
        return [word for option in options for word in option]

    def _settings(self, kafka: EmbeddedKafka) -> dict[str, str]:
        listeners = f"PLAINTEXT://{kafka.bootstrap},SASL_SSL://{self.address},SSL://{self.tls_address}"
        users = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        login = {
            f"listener.name.sasl_ssl.{kind.lower()}.sasl.jaas.config": (
                f"org.apache.kafka.common.security.{module} required {users if kind == PLAIN else ''};"
            )
            for kind, module in _MODULES.items()
        }
        store = self.embedded.directory / "server.pem"
        store.write_bytes(self.certificates.key_file.read_bytes() + self.certificates.certificate_file.read_bytes())
        return {
            "listeners": f"{listeners},CONTROLLER://{HOST}:{kafka.controller_port}",
            "advertised.listeners": listeners,
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "sasl.enabled.mechanisms": ",".join(_MODULES),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.ca_file),
            "listener.name.ssl.ssl.client.auth": "required",
            **login,
        }


def _read_properties(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text().splitlines())
    return {name: value for name, _, value in lines}


@contextmanager
def running(child: Child) -> Iterator[RunningPart]:
    """The part for the length of a block."""
    part = RunningPart(child)
    try:
        part.start()
        yield part
    finally:
        part.stop()


@contextmanager
def locked_redis(directory: Path, password: str, certificates: Certificates | None = None) -> Iterator[int]:
    """The port of a Redis that asks for a password; with certificates it is Debian's, and speaks TLS alone."""
    embedded = EmbeddedRedis(directory)
    tls: dict[str, object] = {}
    argv = [binary_path(), *server_flags(embedded.port), "--requirepass", password]
    if certificates is not None:
        assert DEBIAN_REDIS is not None
        argv = [DEBIAN_REDIS, *server_flags(embedded.port), "--requirepass", password, "--port", "0"]
        argv += ["--tls-port", str(embedded.port), "--tls-ca-cert-file", str(certificates.ca_file)]
        argv += ["--tls-cert-file", str(certificates.certificate_file), "--tls-key-file", str(certificates.key_file)]
        argv += ["--tls-auth-clients", "optional"]
        tls = {"ssl": True, "ssl_ca_certs": str(certificates.ca_file)}

    def answers() -> bool:
        try:
            with redis.Redis(HOST, embedded.port, password=password, socket_timeout=2, **tls) as client:  # type: ignore[arg-type]
                return bool(client.ping())
        except redis.RedisError:
            return False

    with running(replace(redis_child(embedded), argv=tuple(argv), probe=answers)):
        yield embedded.port
