"""Our running pipeline as a way to continue playlists: they are published, and lists are asked for, over Kafka."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from models.ranked import LENGTH
from streams.brought_up import brought_up
from streams.catching_up import catch_up
from streams.connections import connection_of
from streams.continuation import Known, Ranker, Scores, Way
from streams.errors import StreamError
from streams.labelled import Labels
from streams.settings import Settings
from topics.client import Client
from topics.records import Item, Playlist, RecommendationRequest, Seed
from topics.specs import CATALOG_PLAYLISTS

READY_WITHIN_S = 1_800.0
LEARNED_WITHIN_S = 3_600.0
DEADLINE_MS = 20_000
# As many as a request may name.
SEEDS_MAX = 100


class NotAnswered(StreamError):
    """The pipeline did not answer."""


@contextmanager
def installation(tracks: Path, artists: Path | None) -> Iterator[Settings]:
    """A whole stack of its own with these tracks and artists and no playlists, for as long as the block runs.

    Raises:
        StackNotReady: the end of its log is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="throughbeat-evaluate-") as place:
        folder = Path(place, "catalogue")
        folder.mkdir()
        for name, path in (("tracks", tracks), ("artists", artists)):
            if path is not None:
                (folder / f"{name}{''.join(path.suffixes[-2:])}").symlink_to(path.absolute())
        with brought_up(Path(place, "data"), folder, within_s=READY_WITHIN_S) as (settings, _):
            yield settings


# What is answered to one that holds these rows: the rows of the items, the best first, with the items.
Answers = Callable[[Labels], list[tuple[int, Item]]]


@contextmanager
def through_kafka(tracks: Path, artists: Path | None) -> Iterator[Way]:
    """Publishes the playlists learned from, lets the models learn, and asks with what is held."""
    with answering(tracks, artists) as learned:

        def way(known: Known) -> Ranker:
            answers = learned(known)

            def scores(held: Labels) -> Scores:
                found = np.full(known.rows, -np.inf, np.float32)
                rows = [row for row, _ in answers(held)]
                found[rows] = -np.arange(len(rows))
                return found

            return scores

        yield way


@contextmanager
def answering(tracks: Path, artists: Path | None) -> Iterator[Callable[[Known], Answers]]:
    """The same with all that the pipeline says of each item.

    Each time an installation is made anew: of a playlist that it was told of once, a model that grows by the event
    might remember something.
    """
    with ExitStack() as current:

        def learned(known: Known) -> Answers:
            current.close()
            settings = current.enter_context(installation(tracks, artists))
            client = current.enter_context(Client(connection_of(settings), settings.topic_prefix))
            names = [track.track_id for track in known.catalogue.tracks]
            names += [f"no-such-track-{row}" for row in range(len(names), known.rows)]
            rows = {track_id: row for row, track_id in enumerate(names)}
            client.publish_many(
                CATALOG_PLAYLISTS,
                (
                    Playlist(playlist_id=f"list-{number}", track_ids=tuple(names[row] for row in one.tolist()))
                    for number, one in enumerate(known.lists)
                ),
            )
            catch_up(settings, within_s=LEARNED_WITHIN_S, wait=True)

            def answers(held: Labels) -> list[tuple[int, Item]]:
                items = asked(client, [names[row] for row in held[-SEEDS_MAX:].tolist()])
                return [(rows[item.track_id], item) for item in items]

            return answers

        yield learned


def asked(client: Client, track_ids: Sequence[str]) -> Sequence[Item]:
    """The longest list for these seeds, the best first.

    Raises:
        NotAnswered: the pipeline says why not.
    """
    reply = client.ask(
        RecommendationRequest(
            request_id=uuid.uuid4().hex,
            seeds=tuple(Seed(track_id=one) for one in track_ids),
            limit=LENGTH,
            max_per_artist=LENGTH,
            exploration=0.0,
            explain=False,
            deadline_ms=DEADLINE_MS,
        ),
        timeout_s=2 * DEADLINE_MS / 1000,
    )
    if reply.error is not None and reply.error.code != "unknown_seed":
        raise NotAnswered(f"expected a list, got {reply.error.code}: {reply.error.message}")
    return reply.items or ()
