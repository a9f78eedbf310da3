"""A worker that is stuck ends, says why, and goes on after its restart; one that works or waits is left alone."""

from __future__ import annotations

import math
import signal
import time
import urllib.request
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from streams.connections import connection_of
from streams.embedded.ports import free_port
from streams.embedded.stack import RunningStack
from streams.observing.offsets import OffsetReader
from streams.observing.stalls import Place, Standing
from streams.settings import Settings
from tests.integration.forked import ForkedProcess
from tests.integration.test_delivery import Installation, eventually
from topics.connection import BrokerUnavailable

LIMIT_S = 3


@pytest.fixture
def here(stack: RunningStack, prefix: str, tmp_path: Path) -> Installation:
    return Installation(stack, prefix, tmp_path / "applied")


def ends(worker: ForkedProcess) -> int:
    return worker.wait(120)


def test_worker_that_does_not_get_on_ends_and_goes_on_after_its_restart(here: Installation) -> None:
    for event_id, track in (("e0", "t"), ("e1", "stuck"), ("e2", "t")):
        here.play(event_id, track)
    with here.worker(watchdog_s=LIMIT_S) as worker:
        assert ends(worker) == 1
    assert f"{here.topic} is 2 records behind, and none was acknowledged for" in here.log
    # Where it was, for whoever mends it.
    assert "agent_process.py" in here.log
    assert here.applied() == ["e0"]
    here.output.with_suffix(".cured").touch()
    with here.worker(watchdog_s=LIMIT_S):
        eventually(lambda: here.applied()[-2:] == ["e1", "e2"])
    assert here.applied() == ["e0", "e1", "e2"]


def test_worker_whose_consumer_reads_no_more_ends(here: Installation) -> None:
    here.play("e0", "deaf")
    with here.worker(watchdog_s=LIMIT_S) as worker:
        eventually(lambda: here.applied() == ["e0"])
        for number in range(1, 4):
            here.play(f"e{number}")
        assert ends(worker) == 1
        lost = [f"e{number}" for number in range(1, 4) if f"e{number}" not in here.applied()]
    assert f"{here.topic} is {len(lost)} records behind" in here.log
    here.output.with_suffix(".cured").touch()
    with here.worker(watchdog_s=LIMIT_S):
        eventually(lambda: here.applied() == ["e0", "e1", "e2", "e3"])


def test_worker_whose_event_loop_stands_still_ends(here: Installation) -> None:
    here.play("e0", "blocked")
    with here.worker(watchdog_s=LIMIT_S) as worker:
        assert ends(worker) == 1
    assert "the event loop has not turned for" in here.log
    assert "in _hinder" in here.log


def test_worker_that_is_slow_is_left_alone(here: Installation) -> None:
    # Behind for twice the limit, and never still for half of it.
    for number in range(2 * LIMIT_S):
        here.play(f"e{number}", "slow")
    with here.worker(watchdog_s=LIMIT_S) as worker:
        eventually(lambda: len(here.applied()) == 2 * LIMIT_S)
        assert worker.poll() is None


def test_worker_whose_store_is_away_is_left_alone_while_it_tries_again(here: Installation) -> None:
    here.play("e0", f"gone-{2 * LIMIT_S}")
    with here.worker(watchdog_s=LIMIT_S, retry_s=30) as worker:
        eventually(lambda: here.applied() == ["e0"])
        assert worker.poll() is None


def test_worker_that_was_stopped_for_longer_than_the_limit_goes_on(here: Installation) -> None:
    for number, track in enumerate(("held", "t", "t")):
        here.play(f"e{number}", track)
    # It joins its group again within that, on a busy machine too.
    limit_s, port = 10 * LIMIT_S, free_port()
    with here.worker(watchdog_s=limit_s, metrics_port=port) as worker:
        eventually(lambda: still_s(port, "listening.events") > 0)
        worker.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        # There is lag and no progress all the time, and Kafka gives the worker up.
        eventually(lambda: time.monotonic() > stopped_s + limit_s and not here.members())
        here.output.with_suffix(".cured").touch()
        worker.send_signal(signal.SIGCONT)
        # The watchdog has looked since then; while the worker has no partition it tells of none.
        went_on = ["e1", "e2"]
        eventually(
            lambda: (
                worker.poll() is not None or (here.applied()[-2:] == went_on and still_s(port, "listening.events") == 0)
            )
        )
        assert worker.poll() is None
    assert "the worker ends" not in here.log


def still_s(port: int, topic: str) -> float:
    """For how long the worker's watchdog has seen lag of the topic and no progress; NaN before it tells."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as found:
            families = text_string_to_metric_families(found.read().decode())
    except OSError:
        return math.nan
    samples = (sample for family in families for sample in family.samples)
    return sum(s.value for s in samples if s.name == "throughbeat_still_seconds" and s.labels["topic"] == topic)


def test_liveness_and_readiness_are_told_before_there_is_any_work(here: Installation) -> None:
    port = free_port()

    def answers(path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as found:
                return bool(found.status == 200)
        except OSError:
            return False

    with here.worker(metrics_port=port):
        eventually(lambda: answers("/healthz") and answers("/readyz"))


async def test_end_of_a_transaction_is_no_work(here: Installation) -> None:
    made = AIOKafkaProducer(bootstrap_servers=here.bootstrap, transactional_id=here.prefix)
    async with made as producer, producer.transaction():
        await producer.send_and_wait(here.topic, b"{}", partition=0)
    reader = OffsetReader(connection_of(Settings(kafka_url=here.bootstrap)))
    place = Place(here.topic, 0)

    def told() -> bool:
        try:
            # One record, then the transaction's own mark.
            return reader.standings("nobody", [place]) == {place: Standing(0, 2)}
        except BrokerUnavailable:
            return False  # a broker that nobody has asked for a group yet gets ready for it

    try:
        eventually(told)
        assert reader.has_records(place, Standing(0, 2))
        assert not reader.has_records(place, Standing(1, 2))
        assert not reader.is_settled("nobody")
    finally:
        reader.close()
