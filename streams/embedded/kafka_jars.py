"""Kafka's jars: fetched once, pinned by sha256, checked before every use.

`kafka_jars.sha256` lists each jar as `sha256  file name  group:artifact:version`. It is what jgo resolves for
`org.apache.kafka:kafka_2.13:4.3.1` and, in a resolution of its own, `org.apache.logging.log4j:log4j-slf4j-impl:2.25.4`
(together, the parent POM of the second pulls kafka-clients down to 3.9.1). Fetching the listed jars one by one rather
than resolving anew leaves nothing to chance and takes a fifth of the time.
"""

import fcntl
import hashlib
import importlib.resources
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.embedded.errors import JarMismatch, JarUnavailable

KAFKA_VERSION = "4.3.1"


@dataclass(frozen=True)
class Jar:
    """One pinned jar."""

    sha256: str
    name: str
    coordinate: str


Fetch = Callable[[Sequence[Jar], Path], None]


def default_cache_dir() -> Path:
    """Name the directory in which the jars are kept for all data directories of this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "throughbeat" / f"kafka-{KAFKA_VERSION}"


def pinned_jars() -> tuple[Jar, ...]:
    """Read the jars that are checked in, by file name."""
    text = importlib.resources.files("streams.embedded").joinpath("kafka_jars.sha256").read_text()
    return tuple(Jar(*line.split()) for line in text.splitlines())


def class_path(cache_dir: Path) -> str:
    """Join the pinned jars, and no other file that may lie beside them, to a class path."""
    return os.pathsep.join(str(cache_dir / jar.name) for jar in pinned_jars())


def require_jars(cache_dir: Path, jars: Sequence[Jar] | None = None, fetch: Fetch | None = None) -> None:
    """Leave every pinned jar in `cache_dir`, fetching them if the directory is not there yet.

    Processes that come here together wait for the first. A directory that is there is complete, for it is renamed into
    place as a whole: what is missing or altered in it was so done by somebody, and is refused.

    Raises:
        JarUnavailable: a jar is missing, or could not be fetched.
        JarMismatch: a jar is not the one that was pinned.
    """
    pins = pinned_jars() if jars is None else jars
    if not cache_dir.exists():
        cache_dir.parent.mkdir(parents=True, exist_ok=True)
        with _locked(cache_dir.with_name(cache_dir.name + ".lock")):
            if not cache_dir.exists():
                _fill(cache_dir, pins, fetch or fetch_with_jgo)
    verify_jars(cache_dir, pins)


def verify_jars(directory: Path, jars: Sequence[Jar]) -> None:
    """Compare each pinned jar in the directory with its sha256.

    Raises:
        JarUnavailable: a jar is missing.
        JarMismatch: a jar has another content.
    """
    advice = f"delete {directory} to fetch the jars anew"
    for jar in jars:
        path = directory / jar.name
        if not path.is_file():
            raise JarUnavailable(f"{jar.name} is missing in {directory}: {advice}")
        actual = _sha256(path)
        if actual != jar.sha256:
            raise JarMismatch(f"{jar.name} in {directory} has sha256 {actual}, expected {jar.sha256}: {advice}")


def fetch_with_jgo(jars: Sequence[Jar], directory: Path) -> None:
    """Put the jars into the directory, from jgo's own default repository.

    Raises:
        JarUnavailable: the repository could not be reached or lacks a jar.
    """
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    # A local repository of our own rather than ~/.m2: nothing that lies there can spoil ours, and nothing is left over.
    scratch = directory / "repository"
    maven = MavenContext(repo_cache=scratch, remote_repos={"central": MAVEN_CENTRAL_URL})
    for jar in jars:
        group, artifact, version = jar.coordinate.split(":")
        try:
            path = maven.project(group, artifact).at_version(version).artifact().resolve()
        except (OSError, RuntimeError) as error:
            raise JarUnavailable(f"{jar.name} could not be fetched, is the network there? {error}") from error
        shutil.move(path, directory / jar.name)
    shutil.rmtree(scratch)


def _fill(cache_dir: Path, jars: Sequence[Jar], fetch: Fetch) -> None:
    """Fetch beside the cache and rename, so that nobody ever sees half of it. The caller holds the lock."""
    for abandoned in cache_dir.parent.glob(f".{cache_dir.name}-*"):
        shutil.rmtree(abandoned)
    scratch = Path(tempfile.mkdtemp(prefix=f".{cache_dir.name}-", dir=cache_dir.parent))
    try:
        fetch(jars, scratch)
        verify_jars(scratch, jars)
        scratch.chmod(0o755)
        scratch.rename(cache_dir)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(lock_path: Path) -> Iterator[None]:
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
