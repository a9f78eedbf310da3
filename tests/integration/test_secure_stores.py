"""Redis and Qdrant with passwords and TLS: who may enters, and who may not is told in one line what to do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recall.errors import IndexUnavailable
from recall.index.server import Server
from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.errors import StoreRefused, StoreUnavailable
from streams.settings import Settings
from streams.state.connection import connect
from streams.up import environment_of
from tests.integration.installation import eventually
from tests.integration.qdrant_stand_in import qdrant_stand_in
from tests.integration.secure import DEBIAN_REDIS, Certificates, locked_redis
from topics.admin import create_topics

PASSWORD = "open-sesame-7"
needs_debian = pytest.mark.skipif(DEBIAN_REDIS is None, reason="Valkey from PyPI speaks no TLS: install redis-server")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with locked_redis(tmp_path_factory.mktemp("valkey"), PASSWORD) as port:
        yield port


@pytest.fixture(scope="module")
def tls_redis(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with locked_redis(tmp_path_factory.mktemp("redis"), PASSWORD, certificates) as port:
        yield port


def ping(**settings: Any) -> Any:
    async def ask() -> Any:
        redis = connect(Settings(**settings))
        try:
            return await redis.run([("PING",)])
        finally:
            await redis.aclose()

    return asyncio.run(ask())


def test_redis_lets_in_who_has_the_password_by_setting_or_by_url(valkey: int) -> None:
    assert ping(redis_url=f"redis://127.0.0.1:{valkey}", redis_password=PASSWORD) == [b"PONG"]
    assert ping(redis_url=f"redis://:{PASSWORD}@127.0.0.1:{valkey}/0") == [b"PONG"]
    assert ping(redis_url=f"redis://default@127.0.0.1:{valkey}/0", redis_password=PASSWORD) == [b"PONG"]


@pytest.mark.parametrize("password", ["", "let-me-in-9"])
def test_redis_that_refuses_the_password_says_which_setting_to_check(valkey: int, password: str) -> None:
    with pytest.raises(StoreRefused, match=r"does not let us in: check THROUGHBEAT_REDIS_PASSWORD") as refused:
        ping(redis_url=f"redis://127.0.0.1:{valkey}", redis_password=password)
    assert "let-me-in-9" not in str(refused.value)


def test_user_without_the_rights_is_told_which(valkey: int) -> None:
    async def allow_little() -> None:
        redis = connect(Settings(redis_url=f"redis://127.0.0.1:{valkey}", redis_password=PASSWORD))
        await redis.run([("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "+get", "~*")])
        await redis.aclose()

    asyncio.run(allow_little())
    with pytest.raises(StoreRefused, match=r"does not let this user do what is needed: .*ping"):
        ping(redis_url=f"redis://reader@127.0.0.1:{valkey}", redis_password=PASSWORD)


@needs_debian
def test_redis_by_tls_is_trusted_by_the_authority_that_is_named(tls_redis: int, certificates: Certificates) -> None:
    url = f"rediss://127.0.0.1:{tls_redis}/0"
    assert ping(redis_url=url, redis_password=PASSWORD, redis_ca_file=str(certificates.ca_file)) == [b"PONG"]
    query = f"ssl_certfile={certificates.client_certificate_file}&ssl_keyfile={certificates.client_key_file}"
    with_own = {"redis_url": f"{url}?{query}", "redis_ca_file": str(certificates.ca_file)}
    assert ping(redis_password=PASSWORD, **with_own) == [b"PONG"]
    for ca_file in ("", str(certificates.other_ca_file)):
        with pytest.raises(StoreRefused, match=r"not trusted.*THROUGHBEAT_REDIS_CA_FILE"):
            ping(redis_url=url, redis_password=PASSWORD, redis_ca_file=ca_file)
    with pytest.raises(StoreUnavailable):
        ping(redis_url=f"redis://127.0.0.1:{tls_redis}/0", redis_password=PASSWORD)


@needs_debian
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, ""),
        ({"redis_password": "let-me-in-9"}, "THROUGHBEAT_REDIS_PASSWORD"),
        ({"redis_ca_file": "OTHER"}, "THROUGHBEAT_REDIS_CA_FILE"),
        ({"qdrant_api_key": "let-me-in-9"}, "THROUGHBEAT_QDRANT_API_KEY"),
        ({"qdrant_ca_file": "OTHER"}, "THROUGHBEAT_QDRANT_CA_FILE"),
    ],
    ids=["right", "redis password", "redis authority", "qdrant key", "qdrant authority"],
)
def test_worker_gets_in_by_its_settings_or_ends_with_one_line(
    stack: RunningStack,
    prefix: str,
    tls_redis: int,
    certificates: Certificates,
    tmp_path: Path,
    changed: dict[str, str],
    told: str,
) -> None:
    with qdrant_stand_in(certificates, PASSWORD) as url:
        right = {
            "kafka_url": stack.kafka_bootstrap,
            "redis_url": f"rediss://127.0.0.1:{tls_redis}/0",
            "redis_password": PASSWORD,
            "redis_ca_file": str(certificates.ca_file),
            "qdrant_url": url,
            "qdrant_api_key": PASSWORD,
            "qdrant_ca_file": str(certificates.ca_file),
        }
        given = {name: value.replace("OTHER", str(certificates.other_ca_file)) for name, value in changed.items()}
        settings = Settings(**{**right, **given}, topic_prefix=prefix, data_dir=tmp_path)
        create_topics(connection_of(settings), prefix)
        ready = tmp_path / "ready"
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "worker", "--roles", "recommendations", "--ready-file", str(ready)],
            env={**os.environ, **environment_of(settings)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            eventually(lambda: process.poll() is not None or ready.exists())
            assert ready.exists() is (not told)
        finally:
            process.terminate()
            said = process.communicate(timeout=90)[1]
    if told:
        assert process.returncode == 1
        assert len([line for line in said.splitlines() if " INFO " not in line]) == 1, said
        assert told in said
        assert "let-me-in-9" not in said


def test_qdrant_that_refuses_says_which_setting_to_check(certificates: Certificates, tmp_path: Path) -> None:
    ca_file = str(certificates.ca_file)
    with qdrant_stand_in(certificates, PASSWORD) as url:
        assert asyncio.run(Server(url, PASSWORD, ca_file).collections()) == []
        with pytest.raises(IndexUnavailable, match=r"status 401.*THROUGHBEAT_QDRANT_API_KEY"):
            asyncio.run(Server(url, "let-me-in-9", ca_file).collections())
        with pytest.raises(IndexUnavailable, match=r"not trusted.*THROUGHBEAT_QDRANT_CA_FILE"):
            asyncio.run(Server(url, PASSWORD).collections())
        with pytest.raises(IndexUnavailable, match=r"THROUGHBEAT_QDRANT_CA_FILE"):
            asyncio.run(Server(url, PASSWORD, str(tmp_path / "nope.pem")).collections())
    assert PASSWORD not in repr(Server(url, PASSWORD))
