"""What travels on Kafka: one frozen value type a topic, exactly as the wire contract states them.

Unknown fields are ignored, missing optional fields are `None`, numbers are finite, times are UTC milliseconds.
Lengths are bounded, so that no single record can make a person or a track cost more than the stated memory.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

MAX_ID_CHARACTERS = 256
Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
TrackId = Id
ArtistId = Id
PlaylistId = Id
UserId = Id
EventId = Id
RequestId = Id

Name = Annotated[str, Meta(max_length=2000)]
Genre = Annotated[str, Meta(min_length=1, max_length=200)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
# 9999-12-31: the last time that a calendar and a double both hold exactly.
Milliseconds = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
Offset = Annotated[int, Meta(ge=0, le=2**62)]
# YYYY, YYYY-MM or YYYY-MM-DD
PartialDate = Annotated[str, Meta(pattern=r"^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?\Z")]
# An ISO week, such as 2026-W47.
Week = Annotated[str, Meta(pattern=r"^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])\Z")]
Market = Annotated[str, Meta(min_length=1, max_length=16)]
VectorName = Annotated[str, Meta(min_length=1, max_length=64)]
OwnerVector = Annotated[tuple[float, ...], Meta(max_length=4096)]

ListenKind = Literal[
    "play",
    "skip",
    "like",
    "dislike",
    "unrate",
    "save",
    "unsave",
    "add_to_playlist",
    "repeat",
    "block_artist",
    "unblock_artist",
    "follow_artist",
    "unfollow_artist",
]
ARTIST_KINDS: frozenset[str] = frozenset({"block_artist", "unblock_artist", "follow_artist", "unfollow_artist"})

SurfaceName = Literal["radio", "daily_mix", "top_mixes", "discover_weekly", "release_radar", "made_for_you"]
Status = Literal["ok", "partial", "error"]
ErrorCode = Literal["invalid_request", "unknown_seed", "deadline_exceeded", "overloaded", "internal"]


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """A value that can be encoded to and decoded from one Kafka record."""


class ArtistRef(Record, frozen=True, kw_only=True):
    """An artist as a track names it; the id is unknown for some."""

    artist_id: ArtistId | None = None
    name: Name | None = None


class Album(Record, frozen=True, kw_only=True):
    """The release that a track came on."""

    album_id: Id | None = None
    name: Name | None = None
    release_date: PartialDate | None = None


class Features(Record, frozen=True, kw_only=True):
    """Audio features of a recording, each `None` when unknown; `key` and `mode` -1 also mean unknown."""

    danceability: Unit | None = None
    energy: Unit | None = None
    key: Annotated[int, Meta(ge=-1, le=11)] | None = None
    loudness: Annotated[float, Meta(ge=-80, le=10)] | None = None
    mode: Annotated[int, Meta(ge=-1, le=1)] | None = None
    speechiness: Unit | None = None
    acousticness: Unit | None = None
    instrumentalness: Unit | None = None
    liveness: Unit | None = None
    valence: Unit | None = None
    tempo: Annotated[float, Meta(ge=0, le=300)] | None = None
    time_signature: Annotated[int, Meta(ge=0, le=16)] | None = None


class Track(Record, frozen=True, kw_only=True):
    """A track of the catalogue. Topic: catalog.tracks. Key: track_id. A null value withdraws it."""

    track_id: TrackId
    title: Name
    artists: Annotated[tuple[ArtistRef, ...], Meta(max_length=200)]
    album: Album | None = None
    isrc: Annotated[str, Meta(max_length=64)] | None = None
    duration_ms: Milliseconds | None = None
    popularity: Percent | None = None
    explicit: bool | None = None
    markets: Annotated[tuple[Market, ...], Meta(max_length=400)] | None = None
    genres: Annotated[tuple[Genre, ...], Meta(max_length=200)] | None = None
    features: Features | None = None
    embeddings: Annotated[dict[VectorName, OwnerVector], Meta(max_length=16)] | None = None
    updated_at_ms: Milliseconds | None = None

    @property
    def release_date(self) -> str | None:
        """When the release that it came on was published, as its album says."""
        return self.album.release_date if self.album else None


class Artist(Record, frozen=True, kw_only=True):
    """An artist's genres and relations. Topic: catalog.artists. Key: artist_id. A null value withdraws it."""

    artist_id: ArtistId
    name: Name | None = None
    genres: Annotated[tuple[Genre, ...], Meta(max_length=200)] | None = None
    related: Annotated[tuple[ArtistId, ...], Meta(max_length=500)] | None = None
    popularity: Percent | None = None
    updated_at_ms: Milliseconds | None = None


class Playlist(Record, frozen=True, kw_only=True):
    """Tracks that a person or an editor put together. Topic: catalog.playlists. Key: playlist_id."""

    playlist_id: PlaylistId
    name: Name | None = None
    track_ids: Annotated[tuple[TrackId, ...], Meta(max_length=20_000)] = ()
    followers: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    updated_at_ms: Milliseconds | None = None


class ListeningContext(Record, frozen=True, kw_only=True):
    """Where and when somebody listens."""

    device: Annotated[str, Meta(max_length=64)] | None = None
    activity: Annotated[str, Meta(max_length=64)] | None = None
    local_hour: Annotated[int, Meta(ge=0, le=23)] | None = None


class Listen(Record, frozen=True, kw_only=True):
    """A person played, skipped or judged a track or an artist. Topic: listening.events. Key: user_id.

    `played_ms` `None` means "to the end" for a play and "at once" for a skip.
    """

    event_id: EventId
    user_id: UserId
    kind: ListenKind
    occurred_at_ms: Milliseconds
    track_id: TrackId | None = None
    artist_id: ArtistId | None = None
    played_ms: Milliseconds | None = None
    duration_ms: Milliseconds | None = None
    session_id: Annotated[str, Meta(max_length=256)] | None = None
    request_id: Annotated[str, Meta(max_length=256)] | None = None
    surface: Annotated[str, Meta(max_length=64)] | None = None
    context: ListeningContext | None = None

    def __post_init__(self) -> None:
        """Hold what a field alone cannot say: who the event is about.

        Raises:
            ValueError: the id that this kind of event needs is missing.
        """
        if self.kind in ARTIST_KINDS:
            if self.artist_id is None:
                raise ValueError(f"expected artist_id for kind {self.kind!r}, got none")
        elif self.track_id is None:
            raise ValueError(f"expected track_id for kind {self.kind!r}, got none")


class SessionTrack(Record, frozen=True, kw_only=True):
    """A track of a closed session and how it was heard.

    Attributes:
        heard: the share of it, 0..1, `None` when unknown.
        played_ms: as in the event; of a track played to its end, or skipped at once, it may be `None`.
    """

    track_id: TrackId
    skipped: bool = False
    heard: Unit | None = None
    occurred_at_ms: Milliseconds | None = None
    played_ms: Milliseconds | None = None
    duration_ms: Milliseconds | None = None


class ListeningSession(Record, frozen=True, kw_only=True):
    """What a person heard without a long pause. Topic: listening.sessions. Key: user_id.

    The same session may come twice, with the same `session_id`: readers count it once.

    Attributes:
        tracks: every hearing, in the order in which they occurred.
        context: of its first event.
    """

    session_id: Id
    user_id: UserId
    started_at_ms: Milliseconds
    ended_at_ms: Milliseconds
    tracks: Annotated[tuple[SessionTrack, ...], Meta(max_length=1_000)]
    context: ListeningContext | None = None


class Seed(Record, frozen=True, kw_only=True):
    """Where a recommendation starts from: exactly one of the four."""

    track_id: TrackId | None = None
    artist_id: ArtistId | None = None
    playlist_id: PlaylistId | None = None
    query: Annotated[str, Meta(min_length=1, max_length=500)] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError unless exactly one field is given."""
        given = [name for name in ("track_id", "artist_id", "playlist_id", "query") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of track_id, artist_id, playlist_id, query in a seed, got {given or 'none'}"
            )


class Filters(Record, frozen=True, kw_only=True):
    """What an answer may hold. `None` everywhere means: no such limit.

    `features` maps a feature's name to its inclusive `[low, high]`. `compatible`: only tracks of about the tempo (half
    and double time count) and the energy of what the list starts from.
    """

    genres_any: Annotated[tuple[Genre, ...], Meta(max_length=200)] | None = None
    genres_none: Annotated[tuple[Genre, ...], Meta(max_length=200)] | None = None
    released_from: PartialDate | None = None
    released_to: PartialDate | None = None
    explicit: Literal["allow", "exclude", "only"] | None = None
    market: Market | None = None
    exclude_track_ids: Annotated[tuple[TrackId, ...], Meta(max_length=10_000)] | None = None
    exclude_heard_days: Annotated[float, Meta(ge=0, le=36_500)] | None = None
    features: dict[str, tuple[float, float]] | None = None
    compatible: bool | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a feature that does not exist or a range that is upside down."""
        for name, (low, high) in (self.features or {}).items():
            if name not in Features.__struct_fields__:
                raise ValueError(f"expected a feature of {', '.join(Features.__struct_fields__)}, got {name!r}")
            if low > high:
                raise ValueError(f"expected low <= high for feature {name}, got [{low}, {high}]")


class RecommendationRequest(Record, frozen=True, kw_only=True):
    """Somebody wants tracks. Topic: recommendation.requests. Key: user_id, or request_id when anonymous.

    `mix`: of a person's daily mixes the one asked for, from 0.
    """

    request_id: RequestId
    user_id: UserId | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None
    surface: SurfaceName | None = None
    seeds: Annotated[tuple[Seed, ...], Meta(max_length=100)] | None = None
    breadth: Unit | None = None
    exploration: Unit | None = None
    max_per_artist: Annotated[int, Meta(ge=1, le=500)] | None = None
    mix: Annotated[int, Meta(ge=0, le=99)] | None = None
    filters: Filters | None = None
    context: ListeningContext | None = None
    session: Annotated[tuple[Listen, ...], Meta(max_length=200)] | None = None
    after: Annotated[dict[str, Offset], Meta(max_length=10_000)] | None = None
    deadline_ms: Annotated[int, Meta(ge=1, le=600_000)] | None = None
    explain: bool | None = None
    sent_at_ms: Milliseconds | None = None

    def __post_init__(self) -> None:
        """Raises ValueError when `after` names something that is not a partition."""
        for partition in self.after or {}:
            if not (partition.isascii() and partition.isdigit() and len(partition) <= 9):
                raise ValueError(f"expected partition numbers as keys of after, got {partition!r}")


class ReplyError(Record, frozen=True, kw_only=True):
    """Why there is no list, and what was expected."""

    code: ErrorCode
    message: str


class Why(Record, frozen=True, kw_only=True):
    """The reasons of one item: a sentence for the listener and the terms that sum to its score."""

    text: str
    seed_track_ids: tuple[str, ...] = ()
    contributions: dict[str, float] = {}


class Item(Record, frozen=True, kw_only=True):
    """One recommended track. `channels`: its rank in each channel that found it, from 0."""

    position: int
    track_id: str
    title: str
    artists: tuple[ArtistRef, ...]
    score: float
    channels: dict[str, int]
    explored: bool = False
    propensity: float | None = None
    why: Why | None = None


class Understood(Record, frozen=True, kw_only=True):
    """What the free text of a seed was taken for.

    `others`: what it may mean as well, the likeliest first. For words, the rest says what they ask of a track: one of
    the genres, features within inclusive ranges, years; `ignored` are words that say nothing known.
    """

    query: str
    kind: Literal["track", "artist", "words"]
    label: str
    track_id: str | None = None
    artist_id: str | None = None
    others: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    features: dict[str, tuple[float, float]] = {}
    years: tuple[int, int] | None = None
    ignored: tuple[str, ...] = ()


class RecommendationReply(Record, frozen=True, kw_only=True):
    """The answer to one request. Topic: recommendation.replies. Key: request_id.

    `notes` says in words what an asker should know of the list, such as why it is short.
    """

    request_id: str | None
    user_id: str | None
    status: Status
    error: ReplyError | None = None
    items: tuple[Item, ...] = ()
    degraded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    models: dict[str, str | None] = {}
    watermark: dict[str, int] = {}
    understood: tuple[Understood, ...] = ()
    took_ms: float = 0.0


class ModelUpdate(Record, frozen=True, kw_only=True):
    """Which version of a model serves. Topic: models.updates. Key: model.

    Attributes:
        version: serves.
        previous: served before, and is kept so that it can serve again at once.
        wanted: is being made ready to serve.
        generation: grows with each command; what belongs to an earlier one is ignored.
        fills: of the versions above, the generation in which their vectors were begun; 0 with the installation.
        by: who chose: what the installation brings with it, until an operator promotes another.
        refused: why the version that was wanted last does not serve.
    """

    model: Annotated[str, Meta(min_length=1, max_length=64)]
    version: Annotated[str, Meta(min_length=1, max_length=128)]
    previous: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    wanted: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    generation: Annotated[int, Meta(ge=0)] = 0
    fills: dict[str, Annotated[int, Meta(ge=0)]] = {}
    by: Literal["installation", "operator"] = "installation"
    refused: Annotated[str, Meta(max_length=2000)] | None = None
    updated_at_ms: Milliseconds = 0


class ServedItem(Record, frozen=True, kw_only=True):
    """One impression, with what a reward model needs of it."""

    track_id: str
    position: int
    explored: bool
    propensity: float | None
    features: tuple[float, ...]
    feature_names_version: str


class PooledItem(Record, frozen=True, kw_only=True):
    """A track that an explored position could have had.

    Attributes:
        source: why it was in the pool.
        probability: with which it was drawn first; later draws share out that of the tracks that are gone.
        features: as of a shown item, at position 0.
    """

    track_id: str
    source: str
    probability: float
    features: tuple[float, ...]


class Served(Record, frozen=True, kw_only=True):
    """What was shown. Topic: recommendation.served. Key: user_id.

    Attributes:
        pool: what the explored items were drawn from, in the order of their positions.
        listener: how well the person was known.
        blend: how much each channel of recall counted; `None` where that was not to be chosen.
    """

    request_id: str
    user_id: str | None
    surface: str
    served_at_ms: int
    policy_version: str
    items: tuple[ServedItem, ...]
    pool: tuple[PooledItem, ...] = ()
    listener: str | None = None
    blend: str | None = None


class EarlierWeek(Record, frozen=True, kw_only=True):
    """What a week's list held."""

    week: Week
    track_ids: Annotated[tuple[TrackId, ...], Meta(max_length=500)]


class WeeklyPlaylist(Record, frozen=True, kw_only=True):
    """A person's list of one week, and what the lists of the weeks before held. Topic: playlists.weekly. Key: user_id.

    `earlier` has the latest week first, so that the newest record of a person is all that need be kept.
    """

    user_id: UserId
    week: Week
    made_at_ms: Milliseconds
    request_id: RequestId
    items: Annotated[tuple[Item, ...], Meta(max_length=500)]
    earlier: Annotated[tuple[EarlierWeek, ...], Meta(max_length=52)] = ()
