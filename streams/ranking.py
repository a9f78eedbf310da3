"""The ranking that serves, kept at hand for the answers: looked for four times a second, never while answering."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from models.bandit import Posterior, posterior_of
from models.errors import EvidenceDamaged
from models.learnt import Learnt
from models.skip_weights import averaged
from recall.blends import Blends
from recall.policy import UNLEARNED, Policy
from recall.ranking_features import PRIOR as PRIOR_WEIGHTS
from recall.ranking_features import SKIP_SIZE, VERSION
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
        learnt = await EvidenceReader(redis, settings).changed() or {}
        return posterior_of(PRIOR_WEIGHTS, [one.evidence for one in learnt.values()], now_ms=time.time() * 1000)
    finally:
        await redis.aclose()


def part_of(user_id: str) -> float:
    """Where a person stands in 0..1: as if drawn evenly, and the same for ever."""
    return int.from_bytes(hashlib.blake2b(user_id.encode(), digest_size=8, person=b"ranking-b").digest(), "big") / 2**64


def blends_of(learnt: Sequence[Learnt], now_ms: float) -> Blends:
    """What chooses blends of channels, by all that was learnt of them."""
    return Blends(
        ((place, one.at(now_ms, own.evidence.half_life_ms)) for own in learnt for place, one in own.tries.items())
    )


class RankingBoard:
    """The policy of the version that serves, with all that was learnt until a moment ago, and that of a second one."""

    def __init__(self, reader: EvidenceReader, versions: RankingStore, settings: Settings) -> None:
        self._reader = reader
        self._versions = versions
        self._settings = settings
        self._is_off = settings.ranking == "off"
        self._learnt: Mapping[str, Learnt] = {}
        self._built_s = 0.0
        self._refused: dict[str, str] = {}
        self._built: dict[str, Policy] = {}
        self._policy = self._of(PRIOR, UNLEARNED.posterior)
        if self._is_off:
            self._policy = Policy("off", UNLEARNED.posterior, explores=0)
        self._other: Policy | None = None

    def policy(self, user_id: str | None = None) -> Policy:
        """What serves a person now; who nobody knows is served what most are."""
        if self._other is None or user_id is None or part_of(user_id) >= self._settings.ranking_b_share:
            return self._policy
        return self._other

    async def refresh(self) -> None:
        """Take up what has changed; what is damaged is refused, and the last good ranking goes on.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        if self._is_off:
            return
        serving, beside = (await self._versions.serving()).version, self._settings.ranking_b
        if LIVE in (serving, beside):
            await self._look()
        if serving != self._policy.version and (found := await self._take_up(serving)) is not None:
            if found.version != self._policy.version:
                log.info("ranking %s serves", found.version)
            self._policy = found
        if beside and (found := await self._take_up(beside)) is not None:
            self._other = found
        self._built = {name: one for name, one in self._built.items() if name in (serving, beside)}

    async def _look(self) -> None:
        """Forget what was built of evidence that has changed since, or has grown older."""
        changed = await self._reader.changed()
        if changed is not None:
            self._learnt = changed
        if changed is not None or time.monotonic() - self._built_s > AGED_S:
            self._built.pop(LIVE, None)

    async def _take_up(self, version: str) -> Policy | None:
        if version in self._built:
            return self._built[version]
        try:
            found = await self._build(version)
        except (EvidenceDamaged, UnknownRanking) as error:
            if self._refused.get(version) != str(error):
                self._refused[version] = str(error)
                EVIDENCE_REFUSED.inc()
                log.error("ranking %s is refused, %s goes on: %s", version, self._policy.version, error)
            return None
        self._built[version] = found
        return found

    async def _build(self, version: str) -> Policy:
        if version != LIVE:
            return self._of(version, await self._versions.posterior(version))
        self._built_s, learnt, now_ms = time.monotonic(), list(self._learnt.values()), time.time() * 1000
        live = posterior_of(PRIOR_WEIGHTS, [one.evidence for one in learnt], now_ms=now_ms)
        blends = None
        if self._settings.blends == "learned":
            # In a thread, as the first ones load river.
            blends = await asyncio.to_thread(blends_of, learnt, now_ms)
        skips = averaged([one.skips for one in learnt], SKIP_SIZE)
        return replace(self._of(LIVE_POLICY, live), skips=skips, blends=blends)

    def _of(self, version: str, posterior: Posterior) -> Policy:
        return Policy(version, posterior, self._settings.exploration, self._settings.explored == "by chance")

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
