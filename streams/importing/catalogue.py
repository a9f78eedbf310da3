"""A whole catalogue: a folder, one file of tracks, or the sample that ships with Throughbeat."""

from __future__ import annotations

from pathlib import Path

from streams.catalogue import sample_playlists, sample_tracks
from streams.importing.errors import FileUnreadable
from streams.importing.run import OPENERS, Kind, OnProgress, Options, Report, ignore, import_file
from streams.settings import Settings

SAMPLE = "sample"
NONE = "none"
# In this order: an artist that is known lends its genres to each of its tracks as that comes.
_NAMES: dict[Kind, tuple[str, ...]] = {
    "artists": ("artist_genres.json", "artists.json", "artists.csv", "artists.jsonl"),
    "tracks": ("tracks.csv", "tracks.jsonl"),
    "playlists": ("playlists.csv", "playlists.jsonl"),
}


def import_catalogue(
    catalogue: str | Path, settings: Settings, *, options: Options | None = None, on_progress: OnProgress = ignore
) -> list[Report]:
    """Import artists, tracks and playlists, in this order; what an earlier call has imported is not sent again.

    Args:
        catalogue: `sample`, `none`, a folder with `tracks.csv[.gz]` and maybe `artist_genres.json[.gz]` and
            `playlists.csv[.gz]`, or one file of tracks.
        settings: the installation's.
        options: how; unless told, each file is imported once.
        on_progress: see `import_file`.

    Raises:
        BrokerUnavailable, UnknownTopic: no broker answers, or it has no such topic.
        ImportFailed: a file, the broker or the disk is at fault; the message says what to do.
    """
    how = options or Options(once=True)
    return [
        import_file(kind, path, settings, options=how, on_progress=on_progress)
        for kind, path in catalogue_files(catalogue)
    ]


def check_catalogue(catalogue: str | Path) -> None:
    """Look at each file as an import begins to, so that nothing starts for one that cannot be read.

    Raises:
        ImportFailed: a file is not there, is of another kind, or lacks columns.
    """
    for kind, path in catalogue_files(catalogue):
        OPENERS[kind](path)


def catalogue_files(catalogue: str | Path) -> list[tuple[Kind, Path]]:
    """The files of a catalogue in the order of import.

    Raises:
        FileUnreadable: there are no tracks in the folder.
    """
    if catalogue == NONE:
        return []
    if catalogue == SAMPLE:
        return [("tracks", sample_tracks()), ("playlists", sample_playlists())]
    path = Path(catalogue)
    if not path.is_dir():
        return [("tracks", path)]
    found = [(kind, file) for kind, names in _NAMES.items() if (file := _first(path, names))]
    if not any(kind == "tracks" for kind, _ in found):
        raise FileUnreadable(f"expected {' or '.join(_NAMES['tracks'])}, each maybe with .gz, in {path}")
    return found


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    candidates = [folder / f"{name}{ending}" for name in names for ending in (".gz", "")]
    return next((path for path in candidates if path.is_file()), None)
