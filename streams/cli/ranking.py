"""Versions of the ranking, for `throughbeat models`: they live in Redis, as what serves must change within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from streams.cli.options import settings_from
from streams.state.connection import connect
from streams.state.rankings import RankingStore, Serving

NAME = "bandit"
T = TypeVar("T")


def rows(kafka: str | None, prefix: str | None, data_dir: Path | None) -> list[dict[str, Any]]:
    """Every version that can serve, the newest first, and the state of each."""

    async def ask(store: RankingStore) -> tuple[list[str], Sequence[Serving]]:
        return await store.names(), await store.history(2)

    names, history = _asked(ask, kafka, prefix, data_dir)
    serving = history[0]
    return [
        {
            "model": NAME,
            "version": name,
            "state": "serves" if name == serving.version else "here",
            "created_at_ms": None,
            "size_bytes": None,
            **({"because": serving.because, "since_ms": serving.since_ms} if name == serving.version else {}),
        }
        for name in names
    ]


def promote(version: str, kafka: str | None, prefix: str | None, data_dir: Path | None) -> str:
    """Let a version serve; every worker follows within a second."""
    return _asked(lambda store: store.serve(version, "asked for"), kafka, prefix, data_dir).version


def roll_back(kafka: str | None, prefix: str | None, data_dir: Path | None) -> str:
    """Let what served before serve again, or, where nothing did, the version kept last."""
    return _asked(lambda store: store.roll_back("asked for"), kafka, prefix, data_dir).version


def _asked(
    ask: Callable[[RankingStore], Awaitable[T]], kafka: str | None, prefix: str | None, data_dir: Path | None
) -> T:
    settings = settings_from(kafka, prefix, data_dir)

    async def run() -> T:
        redis = connect(settings)
        try:
            return await ask(RankingStore(redis, settings))
        finally:
            await redis.aclose()

    return asyncio.run(run())
