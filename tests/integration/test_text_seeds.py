"""Free text as a seed, end to end: an index of titles that grows, shrinks, outlives its worker, and is filled anew."""

from __future__ import annotations

from pathlib import Path

from streams.embedded.stack import RunningStack
from tests.integration.installation import Installation, eventually, features, track
from tests.integration.qdrant_stand_in import qdrant_stand_in
from topics.records import Artist, ArtistRef, RecommendationReply, Seed, Track
from topics.specs import CATALOG_ARTISTS, CATALOG_TRACKS

SONGS = {"halo": ("Halo", "Beyoncé", 77.0), "other": ("Halo", "Pendulum", 40.0), "qing": ("晴天", "Jay Chou", 67.0)}


def songs() -> list[Track]:
    named = [
        Track(
            track_id=track_id,
            title=title,
            artists=(ArtistRef(artist_id=f"id-{artist}", name=artist),),
            popularity=popularity,
            features=features(0.2),
        )
        for track_id, (title, artist, popularity) in SONGS.items()
    ]
    calm = [track(f"calm{n}", f"c{n}", features=features(0.1 + n / 1_000, acousticness=0.9)) for n in range(60)]
    wild = [track(f"wild{n}", f"w{n}", features=features(0.9 + n / 1_000, acousticness=0.1)) for n in range(60)]
    return [*named, *calm, *wild]


def asked(here: Installation, text: str) -> RecommendationReply:
    return here.ask(seeds=(Seed(query=text),), limit=10)


def meant(here: Installation, text: str) -> str | None:
    reply = asked(here, text)
    return reply.understood[0].track_id if reply.understood else None


def test_text_is_understood_and_the_answer_says_as_what(stack: RunningStack, prefix: str, tmp_path: Path) -> None:
    here = Installation(stack, prefix, tmp_path)
    with here.client, here.worker():
        here.client.publish_many(CATALOG_TRACKS, songs())
        here.settled(CATALOG_TRACKS)
        assert meant(here, "晴天 - Jay Chou") == "qing"
        ambiguous = asked(here, "hallo")
        assert (ambiguous.understood[0].track_id, ambiguous.understood[0].others) == ("halo", ("Halo by Pendulum",))
        assert meant(here, "pendulum halo") == "other"
        assert asked(here, "jay chuo").understood[0].artist_id == "id-Jay Chou"
        calm = asked(here, "calm acoustic evening")
        assert {item.track_id.rstrip("0123456789") for item in calm.items} == {"calm"}
        assert calm.understood[0].features == {"energy": (0.0, 0.45), "acousticness": (0.6, 1.0)}
        unknown = asked(here, "sunshine halo")
        assert unknown.error is not None
        assert unknown.error.code == "unknown_seed"
        assert "near: Halo by Beyoncé" in unknown.error.message


def test_titles_change_leave_and_outlive_their_worker(stack: RunningStack, prefix: str, tmp_path: Path) -> None:
    here = Installation(stack, prefix, tmp_path)
    with here.client:
        with here.worker() as worker:
            here.client.publish_many(CATALOG_TRACKS, songs())
            here.settled(CATALOG_TRACKS)
            here.client.withdraw(CATALOG_TRACKS, "halo")
            here.client.publish(CATALOG_TRACKS, track("calm0", "c0", title="Renamed Entirely"))
            here.settled(CATALOG_TRACKS)
            assert meant(here, "halo") == "other"
            worker.kill()
        with here.worker():
            assert meant(here, "halo") == "other"
            assert meant(here, "renamed entirly") == "calm0"
            assert meant(here, "title calm0") != "calm0"


def test_index_from_before_there_were_titles_fills_them(stack: RunningStack, prefix: str, tmp_path: Path) -> None:
    here = Installation(stack, prefix, tmp_path)
    with here.client:
        with here.worker():
            here.client.publish_many(CATALOG_TRACKS, songs())
            here.settled(CATALOG_TRACKS)
        for path in tmp_path.glob("index/texts.sqlite3*"):
            path.unlink()
        with here.worker():
            eventually(lambda: meant(here, "晴天 - Jay Chou") == "qing")
            eventually(lambda: meant(here, "halo") == "halo")


def test_workers_of_a_server_each_read_the_titles_for_themselves(
    stack: RunningStack, prefix: str, tmp_path: Path
) -> None:
    with qdrant_stand_in() as url:
        first = Installation(stack, prefix, tmp_path / "first", qdrant_url=url)
        second = Installation(stack, prefix, tmp_path / "second", qdrant_url=url)
        with first.client, second.client, first.worker("catalogue"), first.worker("listening"):
            first.client.publish_many(CATALOG_TRACKS, songs())
            first.client.publish(CATALOG_ARTISTS, Artist(artist_id="c1", genres=("slowcore",)))
            first.settled(CATALOG_TRACKS, CATALOG_ARTISTS)
            # Each alone answers all requests, from titles that the other has not read for it.
            for here in (first, second):
                with here.worker("recommendations"):
                    eventually(lambda: meant(here, "晴天 - Jay Chou") == "qing")  # noqa: B023
                    eventually(lambda: asked(here, "slowcore").understood != ())  # noqa: B023
            first.client.withdraw(CATALOG_TRACKS, "halo")
            first.settled(CATALOG_TRACKS)
            with first.worker("recommendations"):
                eventually(lambda: meant(first, "halo") == "other")
            assert first.dead(CATALOG_TRACKS) == []
