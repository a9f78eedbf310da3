"""Blocking work beside an event loop, on threads that never hold up the end of the program."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Run blocking work on a daemon thread of its own; what it raises is raised where the future is awaited.

    Unlike `asyncio.to_thread`, the number of waits that go on together is not bounded, and a program that was told to
    stop does not wait for a download or a dead connection first.
    """
    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - carried to whoever awaits, not swallowed
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(future)
