"""How a worker writes its log: as text or as one JSON object a line, and without a client's every try to reconnect."""

from __future__ import annotations

import logging
import re
import threading
import time
import traceback
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Literal

import msgspec

from streams.secrets import Discreet

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Libraries that tell every rebalance and every question over HTTP.
CHATTY = ("aiokafka", "faust", "kafka", "mode", "httpx")
# What a line may be about, given to the logger as `extra`.
SUBJECTS = ("request_id", "event_id", "topic", "partition", "offset", "reason")
# So long without a client's complaint, and Kafka is back.
QUIET_S = 3.0

LogFormat = Literal["text", "json"]


def set_up_logs(level: str, form: LogFormat, secrets: Collection[str] = ()) -> None:
    """Write everything from `level` on to standard error, in this form and without these secrets.

    The state of Kafka is told by its changes.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet(JsonLines() if form == "json" else logging.Formatter(TEXT), secrets))
    handler.addFilter(KafkaNoise())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


class JsonLines(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`, what it is about, and `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; a traceback is part of it, so that a line is always a whole record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in SUBJECTS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = "".join(traceback.format_exception(record.exc_info[1]))
        return msgspec.json.encode(line, enc_hook=str).decode()


class _Ids(msgspec.Struct):
    request_id: str | None = None
    event_id: str | None = None


def ids_in(value: bytes | None) -> dict[str, str]:
    """The ids of a request or an event that may not be readable otherwise, to be logged with a line about it."""
    try:
        found = msgspec.json.decode(value or b"", type=_Ids)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {name: held for name, held in msgspec.structs.asdict(found).items() if held is not None}


_CLIENTS = ("aiokafka", "kafka")
# What clients say, each some ten times a second and app, while no broker answers or just after.
_AWAY = re.compile(
    r"Unable (to )?connect|Unable to update metadata|Connect call failed|Connection (at \S+ )?(closed|refused|reset)"
    r"|NodeNotReady|KafkaConnectionError|Connection(Refused|Reset)Error|NodeConnectionError|RequestTimedOut"
    r"|DNS lookup failed|bootstrap|No node available|socket disconnected|Error receiving network data",
    re.IGNORECASE,
)
_AFTERMATH = re.compile(
    r"marking (the )?coordinator dead|Heartbeat (failed|session expired|send request failed)|Coordinator Request failed"
    r"|Timer \w+ is overlapping|retrying|timed out|timeout",
    re.IGNORECASE,
)


class KafkaNoise(logging.Filter):
    """Lets through one line when Kafka goes away and one when it is back, instead of each try of each client.

    Lines that are about something else always pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, quiet_s: float = QUIET_S) -> None:
        super().__init__()
        self._clock = clock
        self._quiet_s = quiet_s
        self._lock = threading.Lock()
        self._since: float | None = None
        self._last = 0.0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        name = record.name.partition(".")[0]
        if record.levelno < logging.WARNING or name not in (*_CLIENTS, "mode", "faust"):
            return True
        text = record.getMessage()
        is_away = name in _CLIENTS and _AWAY.search(text) is not None
        if not is_away and not _AFTERMATH.search(text):
            return True
        with self._lock:
            if not is_away:
                self._left_out += self._since is not None
                return self._since is None
            return self._is_first(text)

    def _is_first(self, text: str) -> bool:
        self._last = self._clock()
        if self._since is not None:
            self._left_out += 1
            return False
        self._since, self._left_out = self._last, 0
        log.warning("Kafka is away: %s", text)
        threading.Thread(target=self._wait_for_quiet, name="kafka-noise", daemon=True).start()
        return False

    def _wait_for_quiet(self) -> None:
        while not self.settle():
            time.sleep(self._quiet_s / 4)

    def settle(self) -> bool:
        """Say that Kafka is back once its clients have been quiet for a while; whether they have."""
        with self._lock:
            if self._since is None:
                return True
            if self._clock() - self._last < self._quiet_s:
                return False
            away_s, left_out, self._since = self._last - self._since, self._left_out, None
        log.warning("Kafka is back after %.1f s; %d lines of its clients were left out", away_s, left_out)
        return True


log = logging.getLogger(__name__)
