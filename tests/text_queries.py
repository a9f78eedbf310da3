"""What people type, and which track or artist of the shared catalogue they mean: worked out by hand.

A track is meant in any of its releases; an artist by its id, or by its name where the catalogue knows none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recall.texts import Found
from recall.texts.words import forms, words_of
from recall.tracks import CataloguedTrack

TRACKS: dict[str, str] = {
    # As a player shows it, either way round, and with other dashes.
    "Time Is Running Out - Muse": "2takcwOaAZWiXQijPHIx7B",
    "Muse - Time Is Running Out": "2takcwOaAZWiXQijPHIx7B",
    "Wonderwall – Oasis": "5qqabIl2vWzo9ApSC317sa",
    "Queen — Bohemian Rhapsody": "4u7EnebtmKWzUH433cf5Qv",
    "Hallelujah by Jeff Buckley": "3pRaLNL3b8x5uBOcsgvdqM",
    "Leonard Cohen - Hallelujah": "7yzbimr8WVyAtBX3Eg6UL9",
    "Hallelujah - Leonard Cohen": "7yzbimr8WVyAtBX3Eg6UL9",
    "Uptown Funk (feat. Bruno Mars) - Mark Ronson": "32OlwWuMpZ6b0aN2RZOeMS",
    # A title alone: the best known.
    "Smells Like Teen Spirit": "1f3yAtsJtY87CTmM8RLnxf",
    "blinding lights": "0sf12qNH5qcw8qpgymFOqD",
    "mr brightside": "003vvx7Niy0yvhvHt4a68B",
    "halo": "4JehYebiI9JE8sR8MisGVb",
    "yellow": "3AJwUDP919kvQ9QcozQPxg",
    "creep": "70LcF31zb1H0PyJoS1Sx1r",
    "jolene": "2SpEHTbUuebeLkgs9QB7Ue",
    "one more time": "0DiWol3AO6WpXZgp0goxAV",
    "hey ya": "2PpruBYCo4H7WOBJ7Q2EwM",
    "whats up": "0jWgAnTrNZmOGmqgvHhZEm",
    "dont stop believin": "4bHsxqR3GMrXTxEPLuK5ue",
    "paint it black": "63T7DJ1AFDD6Bn8VzG6JE8",
    "sweet dreams are made of this": "1TfqLAPs4K3s2rJMoCokcS",
    "hotel california": "40riOy7x9W7GXjyGp4pjAv",
    "stairway to heaven": "5CQ30WqJwcep0pYcV4AMNc",
    # Words of both, in any order.
    "Beyonce halo": "4JehYebiI9JE8sR8MisGVb",
    "halo beyonce": "4JehYebiI9JE8sR8MisGVb",
    "muse time is running out": "2takcwOaAZWiXQijPHIx7B",
    "radiohead karma police": "63OQupATfueTdZMWTxW03A",
    "africa toto": "2374M0fQpWi3dLnB54qaLX",
    "september earth wind and fire": "7Cuk8jsPPoNYQWXK9XRFvG",
    "acdc thunderstruck": "57bgtoPSgt236HzfBOd8kj",
    "jay z 99 problems": "7sLpSWxQazJzDVG6YGzlVs",
    "kesha tik tok": "0HPD5WQqrq7wPWR7P7Dw1i",
    "pink just give me a reason": "1mKXFLRA179hdOWQBwUk9e",
    "take on me aha": "2WfaOiMkCvy7F5fcp2zZ8L",
    "david bowie heroes": "7Jh1bpe76CNTCgdgAdBw4Z",
    "adele hello": "1Yk0cQdMLx5RzzFTYwmuld",
    "titanium sia": "0TDLuuLlV54CkRRUOahJb4",
    "seven nation army white stripes": "3dPQuX8Gs42Y7b454ybpMR",
    # Slips of the finger and of the ear.
    "metalica enter sandman": "5sICkBXVmaCQk5aISGR3x1",
    "enter sandmann metallica": "5sICkBXVmaCQk5aISGR3x1",
    "bohemian rapsody": "4u7EnebtmKWzUH433cf5Qv",
    "smels like teen spirit nirvana": "1f3yAtsJtY87CTmM8RLnxf",
    "hotel californa": "40riOy7x9W7GXjyGp4pjAv",
    "somebody that i use to know": "1qDrWA6lyx8cLECdZE7TV7",
    "rolling in the depe adele": "4OSBTYWVwsQhGLF9NHvIbR",
    "beleiver imagine dragons": "0pqnGHJpmpxLKifKRmU6WP",
    "dispacito": "6habFhsOp2NvshLv26DqMb",
    "gangman style": "03UrZgTINDqvnUMbbIMhql",
    "chandeleir - sia": "4VrWlk8IQxevMvERoX08iC",
    "paranoid andriod": "6LgJvl0Xdtc73RJ1mmpotq",
    "running up that hil kate bush": "75FEaRjZTKLhTrFGsfMUXR",
    "supersition stevie wonder": "1h2xVEoJORqrg71HocgqXd",
    # Accents, case, width and other alphabets.
    "hoppipolla": "0yQPpUq5BJyqah5m2Q5Stt",
    "HOPPÍPOLLA - SIGUR RÓS": "0yQPpUq5BJyqah5m2Q5Stt",
    "ｈａｌｏ　ｂｅｙｏｎｃｅ": "4JehYebiI9JE8sR8MisGVb",
    "晴天 - Jay Chou": "0F02KChKwbcQ3tk4q1YxLH",
    "Jay Chou 晴天": "0F02KChKwbcQ3tk4q1YxLH",
    "qing tian jay chou": "0F02KChKwbcQ3tk4q1YxLH",
    "群青 YOASOBI": "1zd35Y44Blc1CwwVbW3Qnk",
    "ダンスホール": "4NaaF28BeO9WzjDrSS71Nz",
    "Кукушка": "0UQA2OVVmO4Ka3Lh0ryNQP",
    "кино - группа крови": "1IV8VhE6Nx8gZru1ZtgXOR",
    "gruppa krovi": "1IV8VhE6Nx8gZru1ZtgXOR",
    "كلام عينيه": "6g95dK7o7vVh8ZCnDAseU5",
    "Sherine - كلام عينيه": "6g95dK7o7vVh8ZCnDAseU5",
    "אהבה - Osher Cohen": "34aKXUhVdHGTzWOt85RjGq",
}

ARTISTS: dict[str, str] = {
    "bjork": "7w29UYBi0qsHi5RTcv3lmA",
    "Björk": "7w29UYBi0qsHi5RTcv3lmA",
    "beyonce": "6vWDO969PvNqNYHIOW5v0m",
    "metalica": "2ye2Wgw4gimLv2eAKyk1NB",
    "muse": "12Chz98pHFMPJEknJQMWvI",
    "queen": "1dfeR4HaWDbWqFHLkxsg1d",
    "the weeknd": "1Xyo4u8uXC1ZmMpatF05PJ",
    "acdc": "711MCceyCBcFnzjGY4Q7Un",
    "ac dc": "711MCceyCBcFnzjGY4Q7Un",
    "jay z": "3nFkdlSjzX9mRTtwJOzDYB",
    "p!nk": "1KCSPY1glIKqW2TotWuXOR",
    "asap rocky": "13ubrt8QOOCPljQ2FL1Kca",
    "blink 182": "6FBDaR13swtiWwGhX1WQsP",
    "guns and roses": "3qm84nBOXUEQ2vnTfUTTFC",
    "motley crue": "0cc6vw3VN8YlIcvr1v7tBL",
    "motorhead": "Motörhead",
    "ramstein": "6wWVKhxIU2cEi0K81v7HvP",
    "beatles": "3WrFJ7ztbogyGnTHbHJFl2",
    "red hot chilli peppers": "0L8ExT028jH3ddEcZwqJJ5",
    "florence and the machine": "1moxjboGR7GNWYIMWsRjgG",
    "simon and garfunkel": "70cRZdQywnSFp9pnc2WTCE",
    "lynard skynard": "4MVyzYMgTwdP7Z49wAZHx0",
    "dead mau5": "2CIMQHirSU0MQqyYHq0eOx",
    "tchaikovsky": "3MKCzCnpzw3TjUYs2v7vDA",
    "beethoven": "2wOqMjp9TyABvtHdOSOTUS",
    "chopin": "7y97mc3bZRFXzT2szRM4L4",
    "dvorak": "6n7nd5iceYpXVwcx8VPpxF",
    "rem": "4KWTAlx2RvbpseOGMEmROg",
    "nsync": "6Ff53KvcvAj5U7Z1vojB5o",
    "кино": "Кино",
    "kino": "Кино",
    "jay chou": "2elBjNSdBE2Y3f0j1mjrql",
}


def song(track: CataloguedTrack) -> tuple[str, ...]:
    """What all releases of a song have in common."""
    return (*words_of(forms(track.title)[-1]), "", *words_of(track.artists[0].name or "" if track.artists else ""))


def misses(found: Mapping[str, Found], tracks: Iterable[CataloguedTrack]) -> list[str]:
    """The queries that were understood as something else than what was meant."""
    songs = {track.track_id: song(track) for track in tracks}
    wrong = []
    for query in found:
        meant, best = TRACKS.get(query) or ARTISTS[query], found[query].best
        if best is None:
            wrong.append(f"{query}: nothing")
        elif query in TRACKS:
            if best.kind != "track" or songs[best.track_ids[0]] != songs[meant]:
                wrong.append(f"{query}: {best.kind} {best.label}")
        elif best.kind != "artist" or meant not in (best.artist_id, best.label):
            wrong.append(f"{query}: {best.kind} {best.label}")
    return wrong
