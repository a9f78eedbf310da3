"""A product that is broken on purpose, so that it is seen that the harness finds what it looks for."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("topics", "models", "recall", "streams")


@dataclass(frozen=True)
class Defect:
    """One change of the product's text, the fault that shows it, and what must be reported."""

    path: str
    before: str
    after: str


DEFECTS = {
    "acknowledges-first": Defect(
        "streams/delivery.py",
        "            await self.deliver(events)\n            for event in events:\n                event.ack()\n",
        "            for event in events:\n                event.ack()\n            await asyncio.sleep(0.6)\n"
        "            await self.deliver(events)\n",
    ),
    "counts-again": Defect(
        "streams/state/lua/popularity.lua",
        "    if offset > counted then",
        "    if true then",
    ),
    "person-forgets-marks": Defect(
        "streams/state/lua/person.lua",
        "    if offset > (applied[partition] or -1) then",
        "    known = nil\n    if true then",
    ),
    "old-stamps-win": Defect("recall/index/edge.py", "if not version.forced and", "if False and"),
    "shows-what-was-heard": Defect("recall/filters.py", "return person.heard.keys()", "return set()"),
}


def broken_copy(name: str, directory: Path) -> Path:
    """A copy of the product with one defect.

    Raises:
        ValueError: the text that the defect replaces is no longer there.
    """
    defect = DEFECTS[name]
    for package in PACKAGES:
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = directory / defect.path
    text = path.read_text()
    if defect.before not in text:
        raise ValueError(f"expected in {defect.path}: {defect.before}")
    path.write_text(text.replace(defect.before, defect.after))
    return directory
