"""A listener and a new release, live: what `make demo` shows on the bundled sample."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from topics.client import Client
from topics.errors import TopicError
from topics.records import (
    Album,
    ArtistRef,
    Features,
    Item,
    Listen,
    ListenKind,
    RecommendationReply,
    RecommendationRequest,
    Track,
)
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS

SHOWN = 8
ANSWER_WITHIN_S = 10.0


class DemoFailed(TopicError):
    """What the demo is about did not happen."""


@dataclass
class Timing:
    """One thing that happened, and how long it took."""

    what: str
    took_ms: float


@dataclass
class Demo:
    """One listener in front of a running stack.

    Attributes:
        library: tracks of the sample that the listener may start with.
        features: of the sample's tracks by id; a release sounds like what its artist did before.
    """

    client: Client
    console: Console
    library: Sequence[Track]
    features: Mapping[str, Features]
    user_id: str = field(default_factory=lambda: f"ada-{uuid.uuid4().hex[:6]}")
    after: dict[str, int] = field(default_factory=dict)
    timings: list[Timing] = field(default_factory=list)

    def run(self) -> None:
        """Show it all."""
        loved = self.library[:3]
        self._say("A listener nobody knows plays three tracks to the end", *map(_title, loved))
        for track in loved:
            self._listen(track.track_id, "play")
        shown = self._show("Her first list, from three plays", self._ask("first list"), before=())
        for number in (1, 2):
            shown = self._skip_first(shown, number)
        favourite = next((item for item in shown if item.artists and item.artists[0].artist_id), shown[0])
        shown = self._finish(favourite, shown)
        self._release(favourite)
        self.console.print(self._summary())

    def _skip_first(self, shown: Sequence[Item], number: int) -> Sequence[Item]:
        skipped = shown[0]
        self._say(f"Skip {number}: after two seconds she has had enough of", _item_title(skipped))
        began = time.perf_counter()
        self._listen(skipped.track_id, "skip", played_ms=2_000)
        reply = self._ask(f"skip {number} sent, to an answer in which it counts", began)
        return self._show("What she is offered now", reply, before=shown)

    def _finish(self, item: Item, shown: Sequence[Item]) -> Sequence[Item]:
        self._say("She plays to the end", _item_title(item))
        began = time.perf_counter()
        self._listen(item.track_id, "play")
        reply = self._ask("play sent, to an answer in which it counts", began)
        return self._show("More of that", reply, before=shown)

    def _release(self, like: Item) -> None:
        """Publish a track that did not exist, and wait until it is offered."""
        artist = like.artists[0]
        release = new_release(artist, self.features.get(like.track_id))
        self._say(f"This moment {artist.name or 'her artist'} releases", Text(release.title, "bold magenta"))
        began = time.perf_counter()
        self.client.post(CATALOG_TRACKS, release)
        deadline = began + ANSWER_WITHIN_S
        while time.perf_counter() < deadline:
            reply = self._request()
            if any(item.track_id == release.track_id for item in reply.items):
                self._took("release sent, to its first place in an answer", began)
                self._show("A track that did not exist a second ago", reply, before=(), mark=release.track_id)
                return
        raise DemoFailed(f"{release.title} was not offered within {ANSWER_WITHIN_S:g} s")

    def _listen(self, track_id: str, kind: ListenKind, played_ms: int | None = None) -> None:
        event = Listen(
            event_id=uuid.uuid4().hex,
            user_id=self.user_id,
            track_id=track_id,
            kind=kind,
            occurred_at_ms=int(time.time() * 1000),
            played_ms=played_ms,
        )
        sent = self.client.publish(LISTENING_EVENTS, event)
        self.after = {str(sent.partition): sent.offset}

    def _ask(self, what: str, began: float | None = None) -> RecommendationReply:
        began = time.perf_counter() if began is None else began
        reply = self._request()
        self._took(what, began)
        return reply

    def _request(self) -> RecommendationReply:
        request = RecommendationRequest(
            request_id=uuid.uuid4().hex, user_id=self.user_id, limit=SHOWN, after=self.after, deadline_ms=5_000
        )
        reply = self.client.ask(request, timeout_s=ANSWER_WITHIN_S)
        if reply.error is not None or not reply.items:
            raise DemoFailed(f"expected a list, got {reply.error.message if reply.error else 'nothing'}")
        return reply

    def _took(self, what: str, began: float) -> None:
        self.timings.append(Timing(what, (time.perf_counter() - began) * 1000))

    def _say(self, text: str, *titles: RenderableType) -> None:
        self.console.print()
        self.console.print(Panel(Group(Text(text), *titles), border_style="cyan", expand=False))

    def _show(
        self, title: str, reply: RecommendationReply, before: Sequence[Item], mark: str | None = None
    ) -> Sequence[Item]:
        latest = f"{self.timings[-1].what}: [bold green]{self.timings[-1].took_ms:.1f} ms[/]"
        table = Table(title=f"{title}   [dim]{latest}[/]", title_justify="left", expand=True)
        for name, style in (("", "bold"), ("track", "bold"), ("by", ""), ("why", "dim"), ("score", "dim")):
            table.add_column(name, style=style, overflow="fold")
        for item in reply.items:
            table.add_row(*_row(item, before), style="magenta" if item.track_id == mark else "")
        self.console.print(table)
        return reply.items

    def _summary(self) -> Panel:
        table = Table.grid(padding=(0, 2))
        for timing in self.timings:
            table.add_row(f"[bold green]{timing.took_ms:7.1f} ms[/]", timing.what)
        return Panel(table, title="What happened, through Kafka and back", border_style="green", expand=False)


def new_release(artist: ArtistRef, features: Features | None) -> Track:
    """A track of the artist that no catalogue holds."""
    return Track(
        track_id=f"demo-{uuid.uuid4().hex}",
        title="Midnight Static",
        artists=(artist,),
        album=Album(name="Midnight Static", release_date=time.strftime("%Y-%m-%d")),
        duration_ms=201_000,
        features=features,
    )


def _row(item: Item, before: Sequence[Item]) -> tuple[RenderableType, ...]:
    names = ", ".join(artist.name or "?" for artist in item.artists)
    return _moved(item, before), item.title, names, item.why.text if item.why else "", f"{item.score:.3f}"


def _moved(item: Item, before: Sequence[Item]) -> Text:
    if not before:
        return Text(str(item.position + 1))
    was = next((other.position for other in before if other.track_id == item.track_id), None)
    if was is None:
        return Text("new", "green")
    if was == item.position:
        return Text("=", "dim")
    return Text(f"▲{was - item.position}", "green") if was > item.position else Text(f"▼{item.position - was}", "red")


def _title(track: Track) -> Text:
    return Text(f"♪ {track.title}  ·  {', '.join(artist.name or '?' for artist in track.artists)}", "bold")


def _item_title(item: Item) -> Text:
    return Text(f"♪ {item.title}  ·  {', '.join(artist.name or '?' for artist in item.artists)}", "bold")
