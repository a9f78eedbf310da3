"""`throughbeat worker` whose own Kafka connections end after two seconds without use, as they do after nine minutes.

python -m tests.integration.idle_worker worker …
"""

from __future__ import annotations

from typing import Any

from streams import roles
from streams.cli import main
from streams.settings import Settings

IDLE_MS = 2_000
create_app = roles.create_app


def impatient(settings: Settings, group: str) -> Any:
    app = create_app(settings, group)
    for part in ("consumer", "producer"):
        setattr(app.conf, f"{part}_connections_max_idle_ms", IDLE_MS)
        setattr(app.conf, f"{part}_metadata_max_age_ms", IDLE_MS)
    return app


if __name__ == "__main__":
    roles.create_app = impatient
    main()
