"""Who is asked for again, and what a list says of the weeks before."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from streams.pace import Pace
from streams.weekly import TRIES, Share, earlier_of, make_lists, request_for
from streams.weeks import WEEKS_KEPT, week_of
from topics.errors import PublishFailed
from topics.records import EarlierWeek, Item, RecommendationReply, RecommendationRequest, ReplyError, WeeklyPlaylist


def playlist(week: str, *track_ids: str, earlier: tuple[EarlierWeek, ...] = ()) -> WeeklyPlaylist:
    items = tuple(
        Item(position=at, track_id=one, title=one, artists=(), score=0.0, channels={})
        for at, one in enumerate(track_ids)
    )
    return WeeklyPlaylist(user_id="u", week=week, made_at_ms=0, request_id="r", items=items, earlier=earlier)


class Answers:
    """Answers in the order given, and keeps what was published."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.published: list[WeeklyPlaylist] = []

    def ask(self, request: RecommendationRequest, timeout_s: float) -> RecommendationReply:
        code: Any = self.codes.pop(0)
        said: Any = {"request_id": request.request_id, "user_id": request.user_id}
        if code == "list":
            return RecommendationReply(**said, status="ok", items=playlist("2026-W01", "t").items)
        if code == "nothing":
            return RecommendationReply(**said, status="ok")
        return RecommendationReply(**said, status="error", error=ReplyError(code=code, message=""))

    def publish(self, topic: object, record: WeeklyPlaylist) -> None:
        self.published.append(record)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.weekly.PAUSE_S", 0.0)
    monkeypatch.setattr("streams.weekly.PAUSE_MAX_S", 0.0)


@pytest.mark.parametrize(
    ("at_ms", "week"),
    [(1_735_603_200_000, "2025-W01"), (1_798_675_200_000, "2026-W53"), (1_795_219_200_000, "2026-W47")],
)
def test_weeks_are_iso_weeks(at_ms: int, week: str) -> None:
    """31 December 2024 is in the first week of 2025; 31 December 2026 in the 53rd; 21 November 2026 in the 47th."""
    assert week_of(at_ms) == week


def test_answers_that_could_not_be_given_are_asked_for_again_and_others_are_not() -> None:
    client = Answers("overloaded", "internal", "list")
    assert make_lists(client, "2026-W47", ["u"], {}, at_once=1).made == 1
    assert len(client.published) == 1
    client = Answers("invalid_request", "list")
    outcome = make_lists(client, "2026-W47", ["u"], {}, at_once=1)
    assert (outcome.made, outcome.failed) == (0, {"invalid_request": 1})
    client = Answers("nothing")
    assert make_lists(client, "2026-W47", ["u"], {}, at_once=1).empty == 1
    assert not client.published


def test_who_is_turned_away_is_asked_for_until_there_is_room_and_who_fails_a_few_times() -> None:
    client = Answers(*["overloaded"] * 20, "list")
    assert make_lists(client, "2026-W47", ["u"], {}, at_once=1).made == 1
    client = Answers(*["internal"] * 20, "list")
    outcome = make_lists(client, "2026-W47", ["u"], {}, at_once=1)
    assert (outcome.made, outcome.failed, len(client.codes)) == (0, {"internal": 1}, 21 - TRIES)


def test_requests_under_way_settle_at_what_can_be_answered() -> None:
    """Four can be answered at once, and 32 may be asked at once."""

    class Busy(Answers):
        now, most, turned_away = 0, 0, 0
        lock = threading.Lock()

        def ask(self, request: RecommendationRequest, timeout_s: float) -> RecommendationReply:
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
                room = self.now <= 4
                self.turned_away += not room
                self.codes.append("list" if room else "overloaded")
                code = self.codes.pop()
            time.sleep(0.001)  # what an answer takes
            with self.lock:
                self.now -= 1
                self.codes = [code]
                return super().ask(request, timeout_s)

    client = Busy()
    outcome = make_lists(client, "2026-W47", [f"u{n}" for n in range(300)], {}, at_once=32)
    assert (outcome.made, outcome.failed) == (300, {})
    assert client.most <= 8
    assert client.turned_away < 150


def test_pace_grows_by_one_a_round_and_halves() -> None:
    pace = Pace(3)
    for _ in range(2):
        pace.answered()
    assert pace.allowed == pytest.approx(2.5)  # 1, then 1 + 1, then 2 + 1/2
    for _ in range(9):
        pace.answered()
    assert pace.allowed == 3
    pace.refused()
    pace.refused()
    assert pace.allowed == 1


def test_a_broker_that_takes_nothing_ends_the_run() -> None:
    class Full(Answers):
        def publish(self, topic: object, record: WeeklyPlaylist) -> None:
            raise PublishFailed("full")

    with pytest.raises(PublishFailed):
        make_lists(Full(*["list"] * 50), "2026-W47", [f"u{n}" for n in range(50)], {}, at_once=4)


def test_the_weeks_before_are_remembered_and_the_oldest_is_forgotten() -> None:
    kept = tuple(EarlierWeek(week=f"2026-W{40 - n}", track_ids=(f"w{40 - n}",)) for n in range(WEEKS_KEPT))
    found = earlier_of(playlist("2026-W41", "a", "b", earlier=kept), "2026-W42")
    assert [one.week for one in found] == [f"2026-W{41 - n}" for n in range(WEEKS_KEPT)]
    assert found[0].track_ids == ("a", "b")
    # A list that is made anew does not count itself.
    assert earlier_of(playlist("2026-W42", "a", earlier=kept), "2026-W42") == kept
    filters = request_for("u", "2026-W42", found).filters
    assert filters is not None
    assert filters.exclude_track_ids == ("a", "b", *(f"w{40 - n}" for n in range(WEEKS_KEPT - 1)))


def test_every_person_is_in_one_share() -> None:
    everybody = [f"u{n}" for n in range(1000)]
    shares = [Share(number, 3, 12).persons(everybody) for number in range(1, 4)]
    assert sorted(one for share in shares for one in share) == sorted(everybody)
    assert all(200 < len(share) < 470 for share in shares)
    # Where Kafka's own clients put these keys, of four partitions.
    assert [Share(1, 1, 4).partition_of(one) for one in ("ada", "bo {%7B}", "晴天")] == [1, 2, 3]
