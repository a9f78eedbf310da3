"""Listeners who live with a running system, which they reach by Kafka alone."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.simulator.listener import (
    ACTIVITIES,
    State,
    Taste,
    begin_session,
    best_list,
    completion,
    draw_taste,
    respond,
)
from bench.simulator.policies import Policy
from bench.simulator.world import World
from topics.client import Client, Published
from topics.records import Filters, Listen, ListeningContext, RecommendationReply, RecommendationRequest
from topics.specs import LISTENING_EVENTS

HOUR_MS = 3_600_000
DEADLINE_MS, WITHIN_S = 10_000, 30.0
# A streak of so many skips, each after so long; a track is in the pocket that it is nearest to, from this cosine on.
STREAK, SKIPPED_AFTER_MS, IN_POCKET = 3, 3_000, 0.3


@dataclass(frozen=True)
class Plan:
    """How many listeners for how long; the seed draws tastes, moods and luck, the same for every policy."""

    listeners: int
    sessions: int
    lists: int
    length: int
    drifts_at: int
    seed: int


@dataclass(frozen=True)
class Told:
    """One list and what became of it.

    Attributes:
        rows: of the world, in the list's order.
        completed: how many were heard to their end, `skipped` how many were not.
        heard_ms: for how long was listened.
        regret: what the oracle's list of that length expects more to be completed, a track.
        spread: mean distance (1 less the cosine) between two tracks of the list.
    """

    rows: tuple[int, ...]
    completed: int
    skipped: int
    heard_ms: int
    regret: float
    spread: float


class Listener:
    """One person, at one running system."""

    def __init__(self, world: World, plan: Plan, number: int, client: Client, policy: Policy) -> None:
        self._world, self._plan, self._number = world, plan, number
        self._client, self._policy = client, policy
        self._user_id = f"{uuid.uuid4().hex[:8]}-{number}"
        self._rows = {track_id: row for row, track_id in enumerate(world.track_ids)}
        self.taste: Taste = draw_taste(world, self._luck(0), plan.drifts_at)
        self._state: State | None = None
        self._clock_ms = int(time.time() * 1000) - (plan.sessions + 1) * HOUR_MS
        self._after: dict[str, int] = {}

    def session(self, session: int) -> list[Told]:
        """Live through one session: ask for lists, and hear them from first to last."""
        self._clock_ms += HOUR_MS
        self._state = begin_session(self.taste, self._state, session, self._luck(1, session))
        return [self._list(self._state, session, number) for number in range(self._plan.lists)]

    def streak(self, session: int) -> Streak | None:
        """Skip the first three tracks of a list that are of the pocket which it holds most of; `None`: too few are."""
        self._clock_ms += HOUR_MS
        state = self._state = begin_session(self.taste, self._state, session, self._luck(1, session))
        reply = self._ask(state)
        rows, pockets = self._in_pockets(reply, session)
        pocket = int(np.bincount(pockets[pockets >= 0], minlength=1).argmax())
        skipped = [row for row, one in zip(rows, pockets, strict=True) if one == pocket][:STREAK]
        if len(skipped) < STREAK:
            return None
        for row in skipped:
            self._clock_ms += SKIPPED_AFTER_MS
            sent = self._say("skip", row, SKIPPED_AFTER_MS, reply, state).result(WITHIN_S)
            self._after[str(sent.partition)] = sent.offset
            state.heard.add(row)
        _, then = self._in_pockets(self._ask(state), session)
        return Streak(float((pockets == pocket).mean()), float((then == pocket).sum() / max(1, len(then))))

    def _in_pockets(self, reply: RecommendationReply, session: int) -> tuple[list[int], NDArray[np.int64]]:
        """The rows of a list, and the pocket that each is in, -1 for those that are in none."""
        rows = [self._rows[item.track_id] for item in reply.items if item.track_id in self._rows]
        cosines = self._world.places[rows] @ self.taste.pockets_in(session).T
        return rows, np.where(cosines.max(axis=1) >= IN_POCKET, cosines.argmax(axis=1), -1)

    def _list(self, state: State, session: int, number: int) -> Told:
        reply = self._ask(state)
        rows = [self._rows[item.track_id] for item in reply.items if item.track_id in self._rows]
        regret, spread = self._judge(state, rows)
        completed = heard_ms = 0
        sent = []
        for place, row in enumerate(rows):
            done = respond(self._world, self.taste, state, row, place, self._luck(2, session, number, place))
            played_ms = round(done.share * int(self._world.durations_ms[row]))
            self._clock_ms += played_ms
            sent.append(self._say("play" if done.completed else "skip", row, played_ms, reply, state))
            if done.liked:
                sent.append(self._say("like", row, None, reply, state))
            completed, heard_ms = completed + done.completed, heard_ms + played_ms
        for place_in_log in (one.result(WITHIN_S) for one in sent):
            self._after[str(place_in_log.partition)] = place_in_log.offset
        return Told(tuple(rows), completed, len(rows) - completed, heard_ms, regret, spread)

    def _judge(self, state: State, rows: Sequence[int]) -> tuple[float, float]:
        """Regret a track, and spread; of an empty list nothing is completed."""
        best = best_list(self._world, self.taste, state, self._plan.length)
        expected = completion(self._world, self.taste, state, best).mean()
        offered = float(completion(self._world, self.taste, state, rows).sum()) / self._plan.length if rows else 0.0
        places = self._world.places[list(rows)]
        pairs = len(rows) * (len(rows) - 1)
        spread = 1 - (float((places @ places.T).sum()) - len(rows)) / pairs if pairs else 0.0
        return float(expected) - offered, spread

    def _ask(self, state: State) -> RecommendationReply:
        anonymous = self._policy.anonymous
        heard = tuple(self._world.track_ids[row] for row in state.heard) if anonymous else None
        reply = self._client.ask(
            RecommendationRequest(
                request_id=uuid.uuid4().hex,
                user_id=None if anonymous else self._user_id,
                limit=self._plan.length,
                filters=Filters(exclude_track_ids=heard) if heard else None,
                exploration=self._policy.exploration,
                context=_context(state),
                after=self._after or None,
                deadline_ms=DEADLINE_MS,
                explain=False,
            ),
            timeout_s=WITHIN_S,
        )
        if reply.error is not None:
            raise SystemExit(f"expected a list, got {reply.error.code}: {reply.error.message}")
        return reply

    def _say(
        self, kind: str, row: int, played_ms: int | None, reply: RecommendationReply, state: State
    ) -> Future[Published]:
        event = Listen(
            event_id=uuid.uuid4().hex,
            user_id=self._user_id,
            kind=kind,  # type: ignore[arg-type]
            track_id=self._world.track_ids[row],
            occurred_at_ms=self._clock_ms,
            played_ms=played_ms,
            duration_ms=int(self._world.durations_ms[row]),
            request_id=reply.request_id,
            context=_context(state),
        )
        return self._client.post(LISTENING_EVENTS, event)

    def _luck(self, *what: int) -> np.random.Generator:
        return np.random.default_rng([self._plan.seed, self._number, *what])


@dataclass(frozen=True)
class Streak:
    """Shares of a list that were in one pocket, before and after three tracks of it were skipped in a row."""

    before: float
    after: float


def live(
    listeners: Sequence[Listener], sessions: int, on_session: Callable[[int], None] = lambda session: None
) -> list[list[list[Told]]]:
    """The lists of every listener, by session."""
    told: list[list[list[Told]]] = [[] for _ in listeners]
    for session in range(sessions):
        for number, listener in enumerate(listeners):
            told[number].append(listener.session(session))
        on_session(session)
    return told


def _context(state: State) -> ListeningContext:
    _, device, hour = ACTIVITIES[state.activity]
    return ListeningContext(device=device, activity=state.activity, local_hour=hour)
