"""`throughbeat worker` that is killed by its first session, before or after it is sent.

    THROUGHBEAT_TEST_DIES=before|after python -m tests.integration.dying_worker worker …

The file that THROUGHBEAT_TEST_DIED names says that it has died before: it does so once.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from streams import roles
from streams.cli import main
from streams.produce import FaustProducer


class Dying(FaustProducer):
    """Kills its process by its first session."""

    async def send(self, topic: str, *args: Any, **kwargs: Any) -> None:
        died = Path(os.environ["THROUGHBEAT_TEST_DIED"])
        if not topic.endswith("listening.sessions") or died.exists():
            return await super().send(topic, *args, **kwargs)
        if os.environ["THROUGHBEAT_TEST_DIES"] == "after":
            await super().send(topic, *args, **kwargs)
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
        return None


if __name__ == "__main__":
    roles.FaustProducer = Dying
    main()
