"""Where a worker is asked over HTTP: `/metrics`, `/healthz`, `/readyz`.

The server has threads of its own: it answers, with the reason, when the event loop does not turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import msgspec
from prometheus_client import disable_created_metrics, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from streams.errors import StreamError
from streams.observing.health import Health
from streams.observing.metrics import REGISTRY

READY_WITHIN_S = 4.0
CLIENT_SILENT_S = 10


class PortNotFree(StreamError):
    """The port for metrics cannot be used; the message names the setting."""


Start = Callable[[str, list[tuple[str, str]]], Any]


class Endpoint:
    """The three answers, as a WSGI application."""

    def __init__(self, health: Health, loop: asyncio.AbstractEventLoop) -> None:
        """`loop`: the worker's, on which its stores are asked."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._metrics = make_wsgi_app(REGISTRY)
        self._health = health
        self._loop = loop

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if path == "/healthz":
            ailment = self._health.ailment()
            return _reply(start, ailment is None, {"alive": ailment is None, "why": ailment})
        if path == "/readyz":
            missing = self._missing()
            return _reply(start, not missing, {"ready": not missing, "missing": missing})
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"expected /metrics, /healthz or /readyz\n"]

    def _missing(self) -> dict[str, str]:
        asking = asyncio.run_coroutine_threadsafe(self._health.missing(), self._loop)
        try:
            return asking.result(READY_WITHIN_S)
        except (TimeoutError, CancelledError):
            asking.cancel()
            return {"worker": f"its event loop has not come to the question within {READY_WITHIN_S:g} s"}


def _reply(start: Start, well: bool, body: dict[str, object]) -> Iterable[bytes]:
    start("200 OK" if well else "503 Service Unavailable", [("Content-Type", "application/json")])
    return [msgspec.json.encode(body) + b"\n"]


class _Handler(WSGIRequestHandler):
    # A connection that says nothing holds its thread no longer.
    timeout = CLIENT_SILENT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing: a line for each scrape is noise."""


@contextmanager
def serving(health: Health, host: str, port: int) -> Iterator[str]:
    """Answer for the length of a block; gives the address, such as `http://127.0.0.1:9464`.

    Args:
        health: what is told.
        host: the address to listen at.
        port: 0 takes a free one.

    Raises:
        PortNotFree: nothing can listen there.
    """
    app = Endpoint(health, asyncio.get_running_loop())
    try:
        server = make_server(host, port, app, ThreadingWSGIServer, _Handler)
    except OSError as error:
        raise PortNotFree(
            f"expected a free port for metrics, got {host}:{port} ({error.strerror}): "
            "name another in THROUGHBEAT_METRICS_PORT, or `off`"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
