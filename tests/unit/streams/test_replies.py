from __future__ import annotations

import pytest

from streams.agents.recommendations import left_ms, readable_id
from streams.replies import default_address, reply_address
from topics.codec import MAX_HEADERS_BYTES
from topics.errors import RecordRefused
from topics.records import RecommendationRequest

ALLOWED = ("recommendation.replies",)
LONG_ID = b'{"request_id": "' + b"x" * 257 + b'"}'


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


@pytest.mark.parametrize("allowed", [ALLOWED, ("",), ("recommendation", "listening", "__", "x")])
@pytest.mark.parametrize(
    "name",
    [
        "__consumer_offsets",
        "__transaction_state",
        "listening.events",
        "acme.listening.events",
        "acme.recommendation.requests",
        "acme.recommendation.requests.dead",
        "acme.recommendation.served",
        "acme.listening.events.dead",
        "recommendation.replies",
        "acme2.recommendation.replies",
        "ACME.recommendation.replies",
        "acme.Recommendation.replies",
        "acme.recommendation.replies/../listening.events",
        "acme.recommendation.replies\x00",
        "acme.recommendation.replies ",
        "acme.recommendation.replies\n",
        "acme.recommendation.replies.réponses",
        "acme.recommendation.replies.listening.events",
        "acme.recommendation.replies.listening.events.dead",
        "acme.recommendation.replies" + "x" * 249,
        "..",
        ".",
        "",
    ],
)
def test_topic_that_is_not_for_replies_is_refused_by_any_list(name: str, allowed: tuple[str, ...]) -> None:
    with pytest.raises(RecordRefused, match="expected a reply topic") as refused:
        reply_address([("kafka_replyTopic", name.encode())], allowed=allowed, prefix="acme")
    assert refused.value.reason == "reply_refused"
    assert len(str(refused.value)) < 1_000


def test_topics_of_kafka_itself_take_no_replies_even_without_a_name_before_them() -> None:
    for name in (b"__consumer_offsets", b"__transaction_state"):
        with pytest.raises(RecordRefused, match="expected a reply topic"):
            reply_address([("kafka_replyTopic", name)], allowed=("_", "__consumer", ""), prefix="")


def test_topic_that_an_operator_allows_is_taken_up_to_the_longest_name_that_kafka_has() -> None:
    longest = "acme.web-replies" + "x" * (249 - 16)
    for name in ("acme.web-replies", "acme.recommendation.replies-2", longest):
        address = reply_address(
            [("kafka_replyTopic", name.encode())], allowed=("recommendation.replies", "web-replies"), prefix="acme"
        )
        assert address.topic == name


def test_correlation_id_of_a_refused_request_comes_back_if_it_is_of_a_usual_size() -> None:
    usual, large = [("kafka_correlationId", b"x" * size) for size in (MAX_HEADERS_BYTES, MAX_HEADERS_BYTES + 1)]
    assert default_address([usual], "").headers == (usual,)
    assert default_address([large, ("kafka_replyTopic", b"elsewhere")], "").headers == ()


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
    for broken in (
        b"{",
        b"",
        None,
        b'{"request_id": 7}',
        LONG_ID,
        b"\xff",
        b'{"a": ' + b"[" * 50_000,
    ):
        assert readable_id(broken) is None
