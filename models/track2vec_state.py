"""A Track2Vec that outlives its process: a snapshot now and then, and a journal of what has come since.

<root>/owner                 locked by the one process that learns; the lock dies with it
<root>/track2vec.safetensors the last snapshot, with the number of the journal that continues it
<root>/journal-7             what has come since; any other journal is what a crash left, and goes on the next opening

What is in the journal has counted: opened again, the model learns from it once more, from where the snapshot was.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from models.errors import StateInUse
from models.journal import Journal, read_frames
from models.track2vec import Change, Config, Starts, Track2Vec, nowhere
from models.track2vec_file import load, save

FILE = "track2vec.safetensors"
# A journal that is longer takes long to go through again.
JOURNAL_MAX_BYTES = 4 * 2**20
_changes = msgspec.msgpack.Decoder(list[Change])


class LearnedState:
    """The model in a directory, with one writer; not for two threads at once.

    Attributes:
        version: of the model, for answers.
        identity: tells this state from one that was begun anew and has read nothing yet.
    """

    def __init__(self, root: Path, owner: IO[bytes], model: Track2Vec, identity: str, version: str) -> None:
        """Use `open`."""
        self._root = root
        self._owner = owner
        self.model = model
        self.identity = identity
        self.version = version
        self._number = 0
        self._journal: Journal | None = None
        self._changed = False

    @classmethod
    def open(cls, root: Path, base: Path | None, version: str, seed: int) -> LearnedState:
        """The state as it was when the last process that had it ended, however it ended.

        Args:
            root: the directory, made if it is new; nothing else may write there.
            base: a trained model to begin with, when there is no state yet; else one that knows nothing.
            version: of the model, when there is no state yet.
            seed: of a new one.

        Raises:
            StateInUse: another process has it.
            CheckpointMismatch: the snapshot or the base is damaged.
        """
        root.mkdir(parents=True, exist_ok=True)
        owner = _own(root)
        try:
            return cls._opened(root, owner, base, version, seed)
        except BaseException:
            owner.close()
            raise

    @classmethod
    def _opened(cls, root: Path, owner: IO[bytes], base: Path | None, version: str, seed: int) -> LearnedState:
        if (root / FILE).exists():
            model, manifest = load(root / FILE)
            state = cls(root, owner, model, manifest["identity"], manifest["version"])
            state._number = manifest["journal"]
        else:
            identity = secrets.token_hex(4)
            model = load(base)[0] if base else Track2Vec(Config(), seed)
            # A file that was trained on says nothing of how far topics were read.
            model.offsets.clear()
            state = cls(root, owner, model, identity, f"{version}-{identity}")
            state.snapshot()
        state._replay()
        return state

    def _replay(self) -> None:
        current = self._root / f"journal-{self._number}"
        for path in self._root.glob("journal-*"):
            if path != current:
                path.unlink()
        for frame in read_frames(current):
            self.model.absorb(_changes.decode(frame))
            self._changed = True
        self._journal = self._journal or Journal(current)

    def absorb(self, changes: Sequence[Change], starts: Starts = nowhere) -> int:
        """Let records count, each once; returns when the disk holds them: how many were new."""
        new = [one for one in changes if one.offset > self.model.offsets.get((one.topic, one.partition), -1)]
        if not new:
            return 0
        if self._journal is None:
            raise ValueError("expected a state that is open, got one that was closed")
        self._journal.append(msgspec.msgpack.encode(new))
        self._changed = True
        return self.model.absorb(new, starts)

    def settle(self, tracks: int) -> int:
        """Go over some of what came last once more, of so many tracks; how many they were."""
        settled = self.model.settle(tracks)
        self._changed |= settled > 0
        return settled

    @property
    def is_long(self) -> bool:
        """Whether so much has come since the last snapshot that it is time for one."""
        return self._journal is not None and self._journal.bytes > JOURNAL_MAX_BYTES

    def snapshot(self) -> None:
        """Write the whole state, unless it is as it was; from here on a new journal continues it."""
        if not self._changed and (self._root / FILE).exists():
            return
        manifest = {
            "identity": self.identity,
            "version": self.version,
            "journal": self._number + 1,
            "drift": self.model.drift(),
        }
        save(self.model, self._root / FILE, manifest)
        self._number += 1
        former, self._journal = self._journal, Journal(self._root / f"journal-{self._number}")
        if former is not None:
            former.close()
            former.path.unlink()
        self._changed = False

    def close(self) -> None:
        """Write what is not written, and let another process have it."""
        self.snapshot()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._owner.close()


def _own(root: Path) -> IO[bytes]:
    owner = (root / "owner").open("ab")
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner.close()
        raise StateInUse(
            f"expected to be the only one that learns in {root}, but a running process does: run one worker with the "
            "role cooccurrence"
        ) from error
    return owner
