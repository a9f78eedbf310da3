from __future__ import annotations

import pytest

from streams.agents.recommendations import left_ms, readable_id
from streams.replies import reply_address
from topics.errors import RecordRefused
from topics.records import RecommendationRequest

ALLOWED = ("recommendation.replies",)


def test_reply_goes_to_the_default_topic_by_key_unless_told() -> None:
    address = reply_address([("kafka_correlationId", b"\x00\xff")], allowed=ALLOWED, prefix="acme")
    assert (address.topic, address.partition) == ("acme.recommendation.replies", None)
    assert address.headers == (("kafka_correlationId", b"\x00\xff"),)


def test_headers_of_springs_template_are_understood() -> None:
    headers = [("kafka_replyTopic", b"recommendation.replies.web"), ("kafka_replyPartition", b"\x00\x00\x01\x02")]
    address = reply_address(headers, allowed=ALLOWED, prefix="")
    assert (address.topic, address.partition, address.headers) == ("recommendation.replies.web", 258, ())


@pytest.mark.parametrize(
    "headers",
    [
        [("kafka_replyTopic", b"listening.events")],
        [("kafka_replyTopic", b"acme.listening.events")],
        [("kafka_replyTopic", b"recommendation.replies")],
        [("kafka_replyTopic", b"\xff")],
        [("kafka_replyPartition", b"1")],
        [("kafka_replyPartition", b"")],
    ],
)
def test_other_topics_and_broken_partitions_are_refused(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(RecordRefused, match="expected"):
        reply_address(headers, allowed=ALLOWED, prefix="acme")


@pytest.mark.parametrize(
    ("sent_at_ms", "deadline_ms", "expected"),
    [
        (None, None, 900),  # came 100 ms ago, 1,000 by default
        (None, 200, 100),
        (9_999_700, 500, 200),  # sent 300 ms ago by its own clock
        (1_000, 200, 100),  # a clock that is hours off says nothing
        (9_990_000, 200, -9_800),  # late
    ],
)
def test_time_left_is_counted_from_when_the_caller_sent_it(
    sent_at_ms: int | None, deadline_ms: int | None, expected: int
) -> None:
    request = RecommendationRequest(request_id="r", sent_at_ms=sent_at_ms, deadline_ms=deadline_ms)
    assert left_ms(request, 9_999_900, 1_000, now_ms=10_000_000) == expected


def test_request_id_is_read_from_what_is_otherwise_wrong() -> None:
    assert readable_id(b'{"request_id": "r7", "limit": "many"}') == "r7"
    for broken in (b"{", b"", None, b'{"request_id": 7}', b"\xff", b'{"a": ' + b"[" * 50_000):
        assert readable_id(broken) is None
