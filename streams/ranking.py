"""The ranking that serves, kept at hand for the answers: looked for four times a second, never while answering."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from models.bandit import Evidence, Posterior, posterior_of
from models.errors import EvidenceDamaged
from recall.policy import UNLEARNED, Policy
from recall.ranking_features import PRIOR as PRIOR_WEIGHTS
from recall.ranking_features import VERSION
from streams.errors import StoreUnavailable, UnknownRanking
from streams.observing.metrics import EVIDENCE_REFUSED
from streams.settings import Settings
from streams.state.connection import connect
from streams.state.evidence import EvidenceReader
from streams.state.rankings import LIVE, PRIOR, RankingStore

log = logging.getLogger(__name__)

LOOK_S = 0.25
# Evidence that does not change still grows old.
AGED_S = 600.0
LIVE_POLICY = f"{LIVE}-{VERSION}"


async def posterior_named(settings: Settings, version: str) -> Posterior:
    """What a version believes now: `prior`, for which no store is asked, `live`, or one that is kept.

    Raises:
        UnknownRanking: none is called that.
        EvidenceDamaged: it cannot be used.
        StoreUnavailable: Redis did not answer.
    """
    if version == PRIOR:
        return UNLEARNED.posterior
    redis = connect(settings)
    try:
        if version != LIVE:
            return await RankingStore(redis, settings).posterior(version)
        evidence = await EvidenceReader(redis, settings).changed() or {}
        return posterior_of(PRIOR_WEIGHTS, evidence.values(), now_ms=time.time() * 1000)
    finally:
        await redis.aclose()


class RankingBoard:
    """The policy of the version that serves, with all that was learnt until a moment ago."""

    def __init__(self, reader: EvidenceReader, versions: RankingStore, settings: Settings) -> None:
        self._reader = reader
        self._versions = versions
        self._explores = settings.exploration
        self._is_off = settings.ranking == "off"
        self._evidence: Mapping[str, Evidence] = {}
        self._serving = ""
        self._built_s = 0.0
        self._refused = ""
        self._policy = Policy(PRIOR, UNLEARNED.posterior, self._explores)
        if self._is_off:
            self._policy = Policy("off", UNLEARNED.posterior, explores=0)

    def policy(self) -> Policy:
        """What serves now."""
        return self._policy

    async def refresh(self) -> None:
        """Take up what has changed; what is damaged is refused, and the last good ranking goes on.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        if self._is_off:
            return
        serving = (await self._versions.serving()).version
        changed = await self._reader.changed() if serving == LIVE else None
        if changed is not None:
            self._evidence = changed
        aged = time.monotonic() - self._built_s > AGED_S
        if serving == self._serving and not (serving == LIVE and (changed is not None or aged)):
            return
        try:
            self._policy = await self._built(serving)
        except (EvidenceDamaged, UnknownRanking) as error:
            if self._refused != f"{serving} {error}":
                self._refused = f"{serving} {error}"
                EVIDENCE_REFUSED.inc()
                log.error("ranking %s is refused, %s goes on: %s", serving, self._policy.version, error)
            return
        if serving != self._serving:
            log.info("ranking %s serves", self._policy.version)
        self._serving, self._built_s = serving, time.monotonic()

    async def _built(self, serving: str) -> Policy:
        if serving == LIVE:
            live = posterior_of(PRIOR_WEIGHTS, self._evidence.values(), now_ms=time.time() * 1000)
            return Policy(LIVE_POLICY, live, self._explores)
        return Policy(serving, await self._versions.posterior(serving), self._explores)

    async def keep_fresh(self) -> None:
        """Refresh for ever; while Redis is away the last ranking serves."""
        away = False
        while True:
            try:
                await self.refresh()
                away = False
            except StoreUnavailable as error:
                if not away:
                    log.warning("the ranking is not refreshed: %s", error)
                away = True
            await asyncio.sleep(LOOK_S)
