"""What can stop an import; a row that is refused does not."""

from __future__ import annotations

from streams.errors import StreamError


class ImportFailed(StreamError):
    """Root of what stops an import; what the broker acknowledged before stays counted."""


class FileUnreadable(ImportFailed):
    """The file is missing, damaged or of a format that this kind of import does not read."""


class ColumnsMissing(ImportFailed):
    """The header of a CSV file lacks columns without which no record can be made."""


class TimeUnreadable(ImportFailed):
    """`--updated-at` is no time."""


class ProgressNotKept(ImportFailed):
    """The state of the import, or what was refused, could not be written to disk."""


class NotAcknowledged(ImportFailed):
    """The broker did not acknowledge what was sent."""


class ImportStopped(ImportFailed):
    """Whoever started the import told it to stop; it can be resumed."""
