"""The way to Redis or Valkey: many commands in one round trip, and one kind of error."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import hiredis
import redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.errors import SettingInvalid, StoreRefused, StoreUnavailable
from streams.secrets import shown_url
from streams.settings import Settings, variable
from streams.state.scripts import all_scripts

Command = Sequence[bytes | str | int]

CONNECT_S, ANSWER_S, WAIT_FOR_CONNECTION_S = 2.0, 5.0, 5.0
HEALTH_CHECK_S = 30
CONNECTIONS_MAX = 32


class RedisConnection:
    """Runs commands on one server, over as many connections as there are callers at once, up to a bound."""

    def __init__(self, pool: BlockingConnectionPool, place: str) -> None:
        """`place` is how errors call the server."""
        self._pool = pool
        self._place = place

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, in order, of commands sent at once; scripts that the server has forgotten are loaded.

        When it raises, any of the commands may have been carried out, or none: they must bear to be run again.

        Raises:
            StoreUnavailable: Redis did not answer in time, or refused one of the commands; StoreRefused, which is one,
                when it does not let us in.
        """
        try:
            replies = await self._exchange(commands)
            if any(isinstance(reply, redis.exceptions.NoScriptError) for reply in replies):
                await self._exchange([(b"SCRIPT", b"LOAD", script.source) for script in all_scripts()])
                replies = await self._exchange(commands)
            _raise_refusal(replies)
        except (redis.RedisError, OSError) as error:
            raise _told(error, self._place) from error
        return replies

    async def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Keys that match, a thousand or so at a time; one may come twice.

        Raises:
            StoreUnavailable: as `run`.
        """
        cursor = b"0"
        while True:
            [(cursor, keys)] = await self.run([(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", 1000)])
            if keys:
                yield keys
            if cursor == b"0":
                return

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        """The replies; a refused command's is the error. redis-py closes a connection that is not read to its end."""
        packed = b"".join(map(_pack, commands))
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(ANSWER_S):
                await connection.send_packed_command(packed)
                return [await _reply(connection) for _ in commands]
        finally:
            await self._pool.release(connection)


def connect(settings: Settings) -> RedisConnection:
    """A connection to the installation's Redis; nothing is sent before the first command.

    Raises:
        SettingInvalid: certificates are named for a connection that uses none, or are not there.
    """
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        **_security(settings),
        max_connections=CONNECTIONS_MAX,
        timeout=WAIT_FOR_CONNECTION_S,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        health_check_interval=HEALTH_CHECK_S,
        # Who delivers retries; a reader would rather answer without.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return RedisConnection(pool, shown_url(settings.redis_url))


def _security(settings: Settings) -> dict[str, Any]:
    """What the URL does not say."""
    given: dict[str, Any] = {"password": settings.redis_password} if settings.redis_password else {}
    if not settings.redis_ca_file:
        return given
    if not settings.redis_url.startswith("rediss://"):
        raise SettingInvalid(f"{variable('redis_ca_file')} needs a rediss:// URL in {variable('redis_url')}")
    if not Path(settings.redis_ca_file).is_file():
        raise SettingInvalid(f"{variable('redis_ca_file')}: no such file of certificates: {settings.redis_ca_file}")
    return {**given, "ssl_ca_certs": settings.redis_ca_file}


def _told(error: Exception, place: str) -> StoreUnavailable:
    """The error in our own words, with what to do where waiting is no use."""
    text = str(error)
    if isinstance(error, redis.AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return StoreRefused(
            f"Redis at {place} does not let us in: check {variable('redis_password')}, and the user in the URL"
        )
    if isinstance(error, redis.exceptions.NoPermissionError):
        return StoreRefused(f"Redis at {place} does not let this user do what is needed: {text}")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return StoreRefused(
            f"the certificate of Redis at {place} is not trusted: name the file of the authority that signed it in "
            f"{variable('redis_ca_file')}, and in {variable('redis_url')} the host that it is for"
        )
    return StoreUnavailable(f"expected an answer from Redis at {place}, got {type(error).__name__}: {text}")


def _pack(command: Command) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]
    return packed


async def _reply(connection: AbstractConnection) -> Any:
    try:
        # The deadline is that of the whole exchange; one for each reply costs more than the reply.
        return await connection.read_response(timeout=math.inf)
    except redis.ResponseError as refusal:
        return refusal


def _raise_refusal(replies: Iterable[Any]) -> None:
    for reply in replies:
        if isinstance(reply, redis.RedisError):
            raise reply
