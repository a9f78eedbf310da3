"""The way to Redis or Valkey: many commands in one round trip, and one kind of error."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Any

import hiredis
import redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.errors import StoreUnavailable
from streams.settings import Settings
from streams.state.scripts import all_scripts

Command = Sequence[bytes | str | int]

CONNECT_S, ANSWER_S, WAIT_FOR_CONNECTION_S = 2.0, 5.0, 5.0
HEALTH_CHECK_S = 30
CONNECTIONS_MAX = 32


class RedisConnection:
    """Runs commands on one server, over as many connections as there are callers at once, up to a bound."""

    def __init__(self, pool: BlockingConnectionPool) -> None:
        self._pool = pool

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, in order, of commands sent at once; scripts that the server has forgotten are loaded.

        When it raises, any of the commands may have been carried out, or none: they must bear to be run again.

        Raises:
            StoreUnavailable: Redis did not answer in time, or refused one of the commands.
        """
        try:
            replies = await self._exchange(commands)
            if any(isinstance(reply, redis.exceptions.NoScriptError) for reply in replies):
                await self._exchange([(b"SCRIPT", b"LOAD", script.source) for script in all_scripts()])
                replies = await self._exchange(commands)
            _raise_refusal(replies)
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"expected an answer from Redis, got {type(error).__name__}: {error}") from error
        return replies

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
    """A connection to the installation's Redis; nothing is sent before the first command."""
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=CONNECTIONS_MAX,
        timeout=WAIT_FOR_CONNECTION_S,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        health_check_interval=HEALTH_CHECK_S,
        # Who delivers retries; a reader would rather answer without.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return RedisConnection(pool)


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
