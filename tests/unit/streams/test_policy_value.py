"""The worth of a ranking from a log that the exploration itself wrote, where the truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from models.bandit import Posterior
from models.errors import TooFewTrials
from recall.exploration import explore, rng_of
from recall.index.protocol import NO_FILTER
from recall.merge import Merged
from recall.policy import UNLEARNED, reorder
from recall.query import RecallQuery
from recall.ranking_features import COLUMN, PRIOR, SIZE, Scene
from streams.agents.recommendations import served_record
from streams.errors import LogUnreadable
from streams.policy_value import draws, value_of
from streams.served_log import Followed, from_file, join
from tests.unit.recall.tracks import track
from topics.codec import encode
from topics.records import Listen, Served

QUERY = RecallQuery((), (), (), 0.5, NO_FILTER, False, 0)
HOUR = 3_600_000


def popular_first() -> Posterior:
    mean = PRIOR.mean.copy()
    mean[COLUMN["popularity"]] = 50.0
    return Posterior(mean, np.zeros((SIZE, SIZE)))


def served(number: int) -> Served:
    """An answer of 12 with two explored tracks; popularity is at random."""
    rng = np.random.default_rng(number)
    given = [
        Merged(track(f"t{n}", f"a{n}", popularity=float(rng.integers(1, 100))), {"x": n}, {"x": 1 / (1 + n)}, {})
        for n in range(24)
    ]
    ordered = reorder(given, Scene(QUERY, {}, {}, frozenset(), None), UNLEARNED)
    shown = explore(ordered.ranked[:12], ordered, UNLEARNED, QUERY, 2 / 12, rng_of(f"r{number}"))
    return served_record(f"r{number}", "u", "radio", shown, served_at_ms=number, policy_version="prior")


def event(request_id: str, track_id: str, kind: str, at: int = 0, **more: object) -> Listen:
    return Listen(
        event_id=str(more.pop("event_id", f"{request_id}{track_id}{kind}")),
        user_id="u",
        track_id=track_id,
        kind=kind,
        occurred_at_ms=at,
        request_id=request_id,
        **more,
    )


def popularity(answer: Served, track_id: str) -> float:
    return next(one.features[COLUMN["popularity"]] for one in answer.pool if one.track_id == track_id)


@pytest.fixture(scope="module")
def answers() -> list[Followed]:
    """600 answers whose explored tracks are heard by the share that is their popularity."""
    made = [served(number) for number in range(600)]
    events = [
        event(one.request_id, item.track_id, "play", one.served_at_ms, played_ms=heard, duration_ms=1000)
        for one in made
        for item in one.items
        if item.explored
        for heard in [round(1000 * popularity(one, item.track_id))]
    ]
    return join([*((one.occurred_at_ms, one) for one in events), *((one.served_at_ms, one) for one in made)], HOUR)


def test_a_ranking_that_knows_the_truth_is_worth_more_by_every_estimate(answers: list[Followed]) -> None:
    found = value_of(popular_first(), answers)
    truth = [
        max(followed.served.pool[one].features[COLUMN["popularity"]] for one in drawn.left)
        for followed in answers
        for drawn in draws(followed)
    ]
    assert (found["answers"], found["explored"], found["passed_over"]) == (600, 1200, 0)
    for name in ("ips", "snips", "dr"):
        assert found[name]["low"] <= np.mean(truth) <= found[name]["high"], name
        assert found[name]["low"] > found["logged"]["high"]
    assert 30 < found["effective_size"] < 1200


def test_positions_whose_probabilities_do_not_agree_are_left_out(answers: list[Followed]) -> None:
    first = answers[0]
    items = tuple(replace(one, propensity=0.9) if one.explored else one for one in first.served.items)
    other = Followed(replace(answers[1].served, items=tuple(replace(one, feature_names_version="2") for one in items)))
    damaged = [Followed(replace(first.served, items=items), first.reactions), other, *answers[2:]]
    found = value_of(popular_first(), damaged)
    assert (found["explored"], found["passed_over"]) == (1196, 3)


def test_nothing_explored_tells_nothing() -> None:
    with pytest.raises(TooFewTrials, match="got none in 1 answers"):
        value_of(popular_first(), [Followed(replace(served(1), pool=()))])


def test_reactions_count_once_within_the_window_in_any_order() -> None:
    answer = served(3)
    name = answer.items[0].track_id
    records = [
        (10, event("r3", name, "play", played_ms=500, duration_ms=1000)),
        (12, event("r3", name, "play", played_ms=900, duration_ms=1000)),  # the same event again
        (20, event("r3", name, "like")),
        (HOUR + 4, event("r3", name, "save", event_id="late")),
        (30, event("r3", "elsewhere", "play")),
        (30, event("unknown", name, "play")),
        (3, answer),
        (9, replace(answer, items=())),
    ]
    for ordered in (records, records[::-1][2:] + records[-2:]):
        (found,) = join(ordered, HOUR)
        assert found.served is answer
        assert found.reward(name) == pytest.approx(2.5 if ordered is records else 2.9)
        assert found.reward(answer.items[1].track_id) is None


def test_a_file_is_read_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [encode(served(5)), encode(event("r5", "t1", "play", at=9)), b""]
    path.write_bytes(b"\n".join(lines))
    assert [(at, type(record)) for at, record in from_file(path)] == [(5, Served), (9, Listen)]
    path.write_bytes(b"\n".join([*lines, b'{"kind": "play"}']))
    with pytest.raises(LogUnreadable, match="line 4"):
        list(from_file(path))
