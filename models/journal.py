"""What has been learned from since the last snapshot, in a file that is only ever added to.

A frame is its length and its CRC-32, little-endian, and the bytes themselves. A process that dies while it writes
leaves a torn frame at the end: it was never acknowledged, and is cut off by the next opening.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEAD = struct.Struct("<II")


class Journal:
    """Frames in a file, in the order in which they were added; one process writes."""

    def __init__(self, path: Path) -> None:
        """Opens the file, made if it is new, and cuts off what is torn."""
        self.path = path
        whole = sum(_HEAD.size + len(frame) for frame in read_frames(path))
        self._file = path.open("ab")
        self._file.truncate(whole)
        self.bytes = whole

    def append(self, frame: bytes) -> None:
        """Returns once the disk holds it."""
        self._file.write(_HEAD.pack(len(frame), zlib.crc32(frame)) + frame)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.bytes += _HEAD.size + len(frame)

    def close(self) -> None:
        """Nothing more is added."""
        self._file.close()


def read_frames(path: Path) -> Iterator[bytes]:
    """The whole frames of a file, up to the first that is not; none of a file that is not there."""
    if not path.exists():
        return
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            frame = file.read(length)
            if len(frame) < length or zlib.crc32(frame) != checksum:
                return
            yield frame
