"""The Lua that makes an effect and the mark of what it came from one atomic step."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NAMES = (
    "person",
    "popularity",
    "applied",
    "catalogue",
    "feedback",
    "evidence",
    "explored",
    "given",
    "due",
    "claim",
    "sent",
    "settle",
)


@dataclass(frozen=True)
class Script:
    """A script as the server knows it."""

    source: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """The script in `lua/<name>.lua`."""
    source = (files("streams.state") / "lua" / f"{name}.lua").read_bytes()
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest().encode())


def all_scripts() -> tuple[Script, ...]:
    """Everything that a server must have loaded."""
    return tuple(map(script, NAMES))
