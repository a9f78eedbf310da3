"""Is a worker alive, and can it do its work: what `/healthz` and `/readyz` say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.observing.watchdog import Heart, Watchdog

Probe = Callable[[], Awaitable[object]]

BEATEN_WITHIN_S = 10.0
PROBED_WITHIN_S = 2.0


@dataclass
class Health:
    """What is looked at; it is filled in as the worker comes up.

    Attributes:
        limit_s: for how long there may be lag without progress.
        probes: a store -> a question to it that raises when it is away.
        shares: an app -> whether it has its partitions.
    """

    limit_s: float
    heart: Heart | None = None
    watchdog: Watchdog | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict)
    shares: Mapping[str, Callable[[], bool]] = field(default_factory=dict)

    def ailment(self) -> str | None:
        """Why the worker should be started anew; `None` while it is alive. May be called from any thread."""
        silent_s = time.monotonic() - self.heart.beaten_s if self.heart else 0.0
        if silent_s > BEATEN_WITHIN_S:
            return f"the event loop has not turned for {silent_s:.0f} s"
        still_s = self.watchdog.still_s if self.watchdog else 0.0
        return f"lag without progress for {still_s:.0f} s" if still_s >= self.limit_s else None

    async def missing(self) -> dict[str, str]:
        """Part -> why it keeps the worker from its work; empty when it is ready."""
        if self.watchdog is None:
            return {"worker": "is starting"}
        found = {name: "has no partitions yet" for name, has_share in self.shares.items() if not has_share()}
        if self.watchdog.kafka_away:
            found["kafka"] = self.watchdog.kafka_away
        answers = await asyncio.gather(*map(_answer, self.probes.values()))
        return found | {name: why for name, why in zip(self.probes, answers, strict=True) if why}


async def _answer(probe: Probe) -> str:
    """Why a store is away; empty when it answers."""
    try:
        async with asyncio.timeout(PROBED_WITHIN_S):
            await probe()
    except TimeoutError:
        return f"does not answer within {PROBED_WITHIN_S:g} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, the store does not serve, and it is told
        return f"{type(error).__name__}: {error}"
    return ""


def has_share(app: Any, assigned: asyncio.Event) -> Callable[[], bool]:
    """Whether an app has been given partitions and is not being given others."""
    return lambda: assigned.is_set() and not app.rebalancing
