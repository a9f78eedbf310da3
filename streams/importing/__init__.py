"""Brings catalogues from files to Kafka: fast, resumable, and with a reason for every row that is refused."""

from streams.importing.catalogue import catalogue_files, import_catalogue
from streams.importing.errors import ImportFailed
from streams.importing.run import Kind, Options, Progress, Report, import_file

__all__ = [
    "ImportFailed",
    "Kind",
    "Options",
    "Progress",
    "Report",
    "catalogue_files",
    "import_catalogue",
    "import_file",
]
