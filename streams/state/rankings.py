"""Versions of the ranking: what was believed at some time, to serve again when what was learnt since is worse."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from models.bandit import Posterior, decode_posterior, encode_posterior
from recall.policy import UNLEARNED
from recall.ranking_features import SIZE, VERSION
from streams.errors import UnknownRanking
from streams.settings import Settings
from streams.state.connection import RedisConnection
from streams.state.keys import key_prefix, ranking_serving_key, ranking_versions_key

# What is learnt as it is learnt, and what was believed before anything was.
LIVE, PRIOR = "live", "prior"
KEPT_MAX = 48
HISTORY_MAX = 50


class Serving(Struct, frozen=True):
    """Which version serves, since when and why."""

    version: str
    since_ms: int
    because: str


FIRST = Serving(LIVE, 0, "nothing else was asked for")
_decode = msgspec.json.Decoder(Serving).decode


class RankingStore:
    """Versions by name, and which of them serves; a version's name is its time, so that names sort by age."""

    def __init__(self, redis: RedisConnection, settings: Settings) -> None:
        prefix = key_prefix(settings.topic_prefix)
        self._redis = redis
        self._versions = ranking_versions_key(prefix, VERSION)
        self._serving = ranking_serving_key(prefix, VERSION)

    async def keep(self, name: str, posterior: Posterior) -> bool:
        """Keep a version, unless there is one of that name; the oldest make room, but for the one that serves.

        Raises:
            StoreUnavailable: it is not known whether it is kept; keep it again.
        """
        value = encode_posterior(posterior, VERSION)
        (added, names) = await self._redis.run([(b"HSETNX", self._versions, name, value), (b"HKEYS", self._versions)])
        serving = await self.serving()
        old = sorted(name for one in names if (name := one.decode()) != serving.version)[:-KEPT_MAX]
        if old:
            await self._redis.run([(b"HDEL", self._versions, *old)])
        return bool(added)

    async def names(self) -> list[str]:
        """All that can serve, the newest first: `live`, those that are kept, `prior`.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        (names,) = await self._redis.run([(b"HKEYS", self._versions)])
        return [LIVE, *sorted((name.decode() for name in names), reverse=True), PRIOR]

    async def posterior(self, name: str) -> Posterior:
        """What a version that is kept believes; `prior` is always there.

        Raises:
            UnknownRanking: none is called that.
            EvidenceDamaged: it cannot be used.
            StoreUnavailable: Redis did not answer.
        """
        if name == PRIOR:
            return UNLEARNED.posterior
        (value,) = await self._redis.run([(b"HGET", self._versions, name)])
        if value is None:
            raise UnknownRanking(f"expected one of {', '.join(await self.names())}, got {name!r}")
        return decode_posterior(value, VERSION, SIZE)

    async def serving(self) -> Serving:
        """Which version serves.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return (await self.history(1))[0]

    async def history(self, most: int = HISTORY_MAX) -> Sequence[Serving]:
        """The versions that serve and served, the latest first, never empty.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        (values,) = await self._redis.run([(b"LRANGE", self._serving, 0, most - 1)])
        return [*map(_decode, values), FIRST][:most]

    async def serve(self, version: str, because: str) -> Serving:
        """Let a version serve from now on; every worker follows within a second.

        Raises:
            UnknownRanking: none is called that.
            StoreUnavailable: it is not known whether it serves; say it again.
        """
        if version != LIVE:
            await self.posterior(version)
        serving = Serving(version, int(time.time() * 1000), because)
        push = (b"LPUSH", self._serving, msgspec.json.encode(serving))
        await self._redis.run([push, (b"LTRIM", self._serving, 0, HISTORY_MAX - 1)])
        return serving

    async def roll_back(self, because: str, before_ms: int | None = None) -> Serving:
        """Let an earlier version serve.

        Args:
            because: why.
            before_ms: kept before that time; without it, what served before this.

        Raises:
            UnknownRanking: nothing served before.
            StoreUnavailable: it is not known whether it serves; say it again.
        """
        if before_ms is not None:
            kept = [name for name in (await self.names())[1:-1] if name < version_name(before_ms)]
            return await self.serve(kept[0] if kept else PRIOR, because)
        now, *earlier = await self.history()
        found = next((one.version for one in earlier if one.version != now.version), None)
        if found is None:
            found = next(name for name in (await self.names())[1:] if name != now.version)
        return await self.serve(found, because)


def version_name(at_ms: int) -> str:
    """A version's name, by its time in UTC.

    >>> version_name(1_700_000_000_000)
    '20231114-221320'
    """
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(at_ms / 1000))
