"""Who wants to know when all that has come is learned asks here, and who learns answers: by a number that grows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from streams.errors import StoreUnavailable
from streams.settings import Settings
from streams.state.connection import RedisConnection
from streams.state.keys import key_prefix, settling_keys

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Settling:
    """The last question, and the last one that was answered."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        self._redis = redis
        self._asked, self._told = settling_keys(key_prefix(settings.topic_prefix))

    async def ask(self) -> int:
        """Ask; the question's number.

        Raises:
            StoreUnavailable: it is not known whether it was asked; ask again.
        """
        (number,) = await self._redis.run([(b"INCR", self._asked)])
        return int(number)

    async def is_told(self, number: int) -> bool:
        """Whether that question, or a later one, was answered.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        (told,) = await self._redis.run([(b"GET", self._told)])
        return int(told or 0) >= number

    async def keep_told(self, settled: Callable[[], Awaitable[None]]) -> None:
        """Answer each question when what `settled` waits for has come; for as long as the worker runs."""
        while True:
            try:
                (numbers,) = await self._redis.run([(b"MGET", self._asked, self._told)])
                asked, told = (int(one or 0) for one in numbers)
                if asked > told:
                    await settled()
                    await self._redis.run([(b"SET", self._told, asked)])
            except StoreUnavailable as error:
                log.warning("it cannot be told that all is learned: %s", error)
            await asyncio.sleep(LOOK_S)
