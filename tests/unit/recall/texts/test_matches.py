from __future__ import annotations

from recall.texts.matches import Entry, Found, best_matches, decide

HALO = Entry("h1", "Halo", ("Beyoncé",), ("b",), 77.0)
HALO_REMIX = Entry("h2", "Halo - Dave Audé Club Remix", ("Beyoncé",), ("b",), 99.0)
OTHER_HALO = Entry("h3", "Halo", ("Pendulum",), ("p",), 40.0)
LIVE = Entry("s1", "Enter Sandman - Live", ("Metallica",), ("m",), 60.0)
STUDIO = Entry("s2", "Enter Sandman", ("Metallica",), ("m",), 50.0)
HIT = Entry("q1", "Killer Queen", ("Queen",), ("q",), 80.0)
NAMESAKE = Entry("q2", "Queen", ("Perfume Genius",), ("g",), 30.0)
QING = Entry("c1", "晴天", ("Jay Chou",), ("j",), 10.0)
SAME_SOUND = Entry("c2", "情天", ("Somebody",), ("y",), 12.0)


def meant(text: str, *entries: Entry) -> Found:
    return decide(best_matches(text, entries))


def test_most_popular_is_meant_and_the_others_are_told() -> None:
    found = meant("halo", OTHER_HALO, HALO)
    assert found.best is not None
    assert found.best.track_ids == ("h1",)
    assert [other.label for other in found.others] == ["Halo by Pendulum"]


def test_artist_decides_between_two_songs_of_one_title() -> None:
    for text in ("Halo - Pendulum", "pendulum - halo", "halo pendulum", "Pendulum halo", "Halo by Pendulum"):
        found = meant(text, HALO, OTHER_HALO)
        assert found.best is not None
        assert (found.best.track_ids, found.others) == (("h3",), ()), text


def test_studio_recording_is_meant_unless_the_text_says_live() -> None:
    plain, live = meant("enter sandman", LIVE, STUDIO), meant("enter sandman live metallica", LIVE, STUDIO)
    assert plain.best is not None
    assert plain.best.track_ids == ("s2",)
    assert live.best is not None
    assert live.best.track_ids == ("s1",)


def test_well_known_track_may_be_misspelled_beside_an_obscure_one_that_is_called_so() -> None:
    hit = Entry("hit", "Bohemian Rhapsody", ("Queen",), ("q",), 84.0)
    found = meant("bohemian rapsody", hit, Entry("obscure", "Bohemian Rapsody", ("Nobody",), ("n",), 2.0))
    assert found.best is not None
    assert found.best.track_ids == ("hit",)


def test_releases_of_one_song_are_no_ambiguity() -> None:
    assert meant("halo beyonce", HALO, HALO_REMIX).others == ()


def test_name_means_the_artist_with_their_tracks_and_a_namesake_title_is_told() -> None:
    found = meant("queen", HIT, NAMESAKE)
    assert found.best is not None
    assert (found.best.kind, found.best.artist_id, found.best.track_ids) == ("artist", "q", ("q1",))
    assert [other.label for other in found.others] == ["Queen by Perfume Genius"]


def test_same_signs_go_before_the_same_sounds() -> None:
    found = meant("晴天", SAME_SOUND, QING)
    assert found.best is not None
    assert found.best.track_ids == ("c1",)


def test_last_name_stands_for_the_artist() -> None:
    chopin = Entry("n", "Nocturne", ("Frédéric Chopin",), ("f",), 61.0)
    found = meant("chopin", chopin, Entry("x", "Choppin'", ("C",), ("c",), 0.0))
    assert found.best is not None
    assert found.best.label == "Frédéric Chopin"


def test_what_is_only_near_is_not_meant() -> None:
    found = meant("halo effect", HALO)
    assert found.best is None
    assert [other.label for other in found.others] == ["Halo by Beyoncé"]
    assert meant("zzz", HALO) == Found()
