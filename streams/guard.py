"""Watches what the ranking earns: when that falls for good, an earlier version takes over."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from statistics import fmean

from streams.observing.metrics import REWARD, ROLLBACKS
from streams.ranking import LIVE_POLICY
from streams.state.feedback import Lesson
from streams.state.rankings import RankingStore, Serving

log = logging.getLogger(__name__)

# A fall is told from chance with this many false alarms in one, and less of one is nobody's loss.
DELTA = 0.001
LEAST_FALL = 0.05
REMEMBERED = 50_000


class RewardGuard:
    """Looks for a fall of the mean reward by adaptive windowing; to make one imports river, which takes seconds.

    Source: A. Bifet and R. Gavaldà, Learning from Time-Changing Data with Adaptive Windowing, SDM 2007; river's ADWIN.
    """

    def __init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        from river.drift import ADWIN

        self._window = ADWIN(delta=DELTA)
        self._earned: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)

    def fallen(self, reward: float, at_ms: int) -> tuple[float, float, int] | None:
        """Whether the reward has fallen with this one: from what, to what, and since when; else `None`."""
        self._window.update(reward)
        self._earned.append((at_ms, reward))
        REWARD.set(self._window.estimation)
        if not self._window.drift_detected:
            return None
        # What is left in the window came after the change.
        change = max(0, len(self._earned) - int(self._window.width))
        earned = list(self._earned)
        before = fmean(one for _, one in earned[:change]) if change else reward
        after = fmean(one for _, one in earned[change:])
        if before - after < LEAST_FALL:
            return None
        self._begin_anew()
        return before, after, earned[change][0]


class GuardedRanking:
    """Rolls the ranking back when what it earns falls, and tells which version serves instead.

    Args:
        load_guard: makes what looks for a fall, once there is something to look at.
        versions: of the ranking.
        tell: announces the version that serves instead.
    """

    def __init__(
        self,
        load_guard: Callable[[], Awaitable[RewardGuard]],
        versions: RankingStore,
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        self._load_guard = load_guard
        self._guard: RewardGuard | None = None
        self._versions = versions
        self._tell = tell

    async def watch(self, lessons: Sequence[Lesson]) -> Serving | None:
        """Look at what the ranking that learns has earned; tell what serves instead, where something does now.

        Raises:
            StoreUnavailable: it is not known whether the ranking was rolled back.
        """
        rolled_back = None
        for lesson in lessons:
            if not lesson.is_new or lesson.policy != LIVE_POLICY or lesson.explored:
                continue
            if self._guard is None:
                self._guard = await self._load_guard()
            fall = self._guard.fallen(lesson.change, lesson.at_ms)
            if fall is not None and (await self._versions.serving()).version == "live":
                before, after, since_ms = fall
                because = f"the mean reward fell from {before:.2f} to {after:.2f}"
                rolled_back = await self._versions.roll_back(because, before_ms=since_ms)
                ROLLBACKS.inc()
                log.error("%s: ranking %s serves now", because, rolled_back.version)
                await self._tell(rolled_back.version)
        return rolled_back
