from __future__ import annotations

import sys

import pytest

from streams.embedded.process import may_be_stopped, tied


class Told:
    """A process that says what it runs."""

    def __init__(self, *command: str) -> None:
        self._command = list(command)

    def cmdline(self) -> list[str]:
        return self._command


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the launcher stays")
@pytest.mark.parametrize(
    ("command", "may"), [((), False), (tied(["java", "-version"]), False), (("java", "-version"), True)]
)
def test_nothing_is_stopped_before_it_is_what_was_to_be_started(command: tuple[str, ...], may: bool) -> None:
    assert may_be_stopped(Told(*command)) is may  # type: ignore[arg-type]
