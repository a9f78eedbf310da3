"""When the interpreter looks for garbage: by the clock, and not in the middle of an answer.

Left to itself it looks through all objects each time that there are a quarter more of them, which after a start is
every hundred answers, and such an answer waits for 60 ms. Almost nothing here is garbage that only a search finds.

What is freed goes back to the system then, too: the allocator of the GNU libc keeps most of it, after tables were
replaced by newer ones as much as those took.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

EVERY_S = 60.0
# Rounds after which what was taken to stay is looked through as well: once in an hour.
ALL_EVERY = 60
# Young objects are looked through after so many; old ones never, but by `keep_collected`.
THRESHOLDS = 5_000, 20, 1_000_000


# Bytes to keep -> whether any were given back; other libraries for C have no such thing.
_give_back: Callable[[int], int] = getattr(ctypes.CDLL(None), "malloc_trim", lambda keep: 0)


def settle() -> None:
    """What is there now stays, and is not looked through again for an hour; what was freed goes back."""
    gc.set_threshold(*THRESHOLDS)
    gc.collect()
    gc.freeze()
    _give_back(0)


async def keep_collected(every_s: float = EVERY_S) -> None:
    """Look for garbage among what came lately, again and again, and now and then among everything."""
    rounds = 0
    while True:
        await asyncio.sleep(every_s)
        rounds += 1
        if rounds % ALL_EVERY == 0:
            gc.unfreeze()
        settle()
