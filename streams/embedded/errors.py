"""What can go wrong while Kafka, Redis and the workers run as children of this program."""

from pathlib import Path


class EmbeddedError(Exception):
    """An embedded part could not be prepared, started or kept running."""


class JarUnavailable(EmbeddedError):
    """A jar of Kafka is neither in the cache nor to be resolved."""


class JarMismatch(EmbeddedError):
    """A jar of Kafka differs from the one that was pinned by its sha256."""


class StorageNotFormatted(EmbeddedError):
    """Kafka's own tool refused to format the broker's storage."""


class BinaryUnavailable(EmbeddedError):
    """No server binary or JVM fits this operating system and processor."""


class PortTaken(EmbeddedError):
    """Another program listens on a port that an embedded part was told to use."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on 127.0.0.1 is taken by another program: stop it or choose another port")
        self.port = port


class ChildNotReady(EmbeddedError):
    """A child could not be prepared, or did not become ready in time."""


class ChildEnded(ChildNotReady):
    """A child ended by itself; another try may do better."""


class UnknownDependency(EmbeddedError):
    """A child waits for one that is not there, or children wait for each other in a ring."""


class DataDirectoryInUse(EmbeddedError):
    """Another process runs on the same data directory."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"data directory {data_dir} is in use by {holder}: stop that process or choose another --data-dir"
        )
        self.data_dir = data_dir
        self.pid = pid
