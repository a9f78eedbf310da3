"""How a dead letter is taken apart and shown."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from streams.cli.dead_letters import dead_topic, preview, time_of
from streams.dead_letters import DEAD_HEADERS, DeadLetter, Tally, letter_of, tally_of
from topics.specs import DEAD_LETTERS, LISTENING_EVENTS, dead_letters_of

TOPIC = dead_letters_of(LISTENING_EVENTS)
OURS = [(name, f"{number}".encode()) for number, name in enumerate(DEAD_HEADERS)]
HEADERS = st.lists(
    st.tuples(st.sampled_from([*DEAD_HEADERS, "trace", "kafka_correlationId"]), st.none() | st.binary(max_size=5)),
    max_size=8,
)


def record(headers: list[tuple[str, bytes | None]] | None) -> SimpleNamespace:
    return SimpleNamespace(partition=0, offset=7, key=b"k", value=b"v", headers=headers)


def letter(reason: str, at_ms: int, topic: str = "listening.events.dead") -> DeadLetter:
    spec = next(one for one in DEAD_LETTERS if one.name == topic)
    return DeadLetter(spec, 0, 0, None, None, (), (("dead_reason", reason), ("dead_at_ms", str(at_ms))))


@given(HEADERS)
def test_headers_that_came_are_told_from_those_that_were_added(came: list[tuple[str, bytes | None]]) -> None:
    found = letter_of(TOPIC, record([*came, *OURS]))
    assert list(found.headers) == came
    assert found.why == tuple((name, value.decode()) for name, value in OURS)


@given(HEADERS)
def test_letter_that_died_twice_keeps_what_it_came_with(came: list[tuple[str, bytes | None]]) -> None:
    once = letter_of(TOPIC, record([*came, *OURS]))
    twice = letter_of(TOPIC, record([*once.headers, *OURS]))
    assert list(twice.headers) == came


def test_letter_of_somebody_else_s_making_has_an_unknown_reason() -> None:
    found = letter_of(TOPIC, record(None))
    assert (found.reason, found.message, found.at_ms, found.origin) == ("unknown", "", 0, LISTENING_EVENTS)
    assert letter_of(TOPIC, record([("dead_at_ms", b"\xff soon")])).at_ms == 0


def test_tally_is_by_topic_and_reason_with_its_span() -> None:
    letters = [letter("invalid", 30), letter("invalid", 10), letter("wrong_key", 5)]
    letters += [letter("invalid", 40, "catalog.tracks.dead")]
    assert tally_of(letters, lambda one: one.at_ms < 20) == {
        ("catalog.tracks", "invalid"): Tally(1, 0, 40, 40),
        ("listening.events", "invalid"): Tally(2, 1, 10, 30),
        ("listening.events", "wrong_key"): Tally(1, 1, 5, 5),
    }


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (None, "(none)"),
        (b"", ""),
        ("Sigur Rós".encode(), "Sigur Rós"),
        (b"a\tb\nc\r", "a\\tb\\nc\\r"),
        (b"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        (b"\xff\xfe\x00", "\\xff\\xfe\\x00"),
        ("\u202eevil\u200b".encode(), "\\u202eevil\\u200b"),
        (b"x" * 2_001, "x" * 2_000 + "... (2,001 bytes)"),
    ],
)
def test_bytes_are_shown_on_one_line_and_do_nothing_to_the_terminal(data: bytes | None, shown: str) -> None:
    assert preview(data) == shown


@given(st.binary(max_size=300))
def test_whatever_the_bytes_the_preview_can_be_printed(data: bytes) -> None:
    assert preview(data).isprintable()


def test_either_name_of_a_topic_will_do() -> None:
    assert dead_topic("listening.events") == dead_topic("listening.events.dead") == TOPIC
    with pytest.raises(typer.BadParameter, match="expected a topic with dead letters"):
        dead_topic("recommendation.served")


def test_time_is_told_in_utc() -> None:
    assert (time_of(1_700_000_000_000), time_of(0)) == ("2023-11-14 22:13:20Z", "")
