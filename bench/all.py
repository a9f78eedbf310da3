"""Every benchmark, one after the other, and docs/benchmarks.md from what they print.

python -m bench.all [--quick] [--only NAME,...] [--kept]

What each printed last is kept in docs/benchmarks/, with its command and date; --only runs some of them anew, --kept
none, and the page is written from all that is kept.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
KEPT = PAGE.with_suffix("")
COMMANDS: Mapping[str, Sequence[str]] = {
    "import_catalogue": ["--runs", "3"],
    "requests": ["--sequential", "300", "--seconds", "12", "--releases", "300", "--skips", "100"],
    "growth": [],
    "training": [],
    "collaborative": [],
    "learning": [],
    "embedding": [],
    "track2vec": [],
    "events": ["--runs", "5"],
    "startup": ["--runs", "5"],
    "person_bytes": [],
    "session_knn": [],
    "order": [],
    "overload": [],
    "soak": [],
    "text_seeds": [],
    "ranking": [],
    "simulator": [
        *("--listeners", "250", "--sessions", "12", "--policies"),
        "full,unlearned prior,no session,no exploration,epsilon-greedy,one blend",
    ],
}
QUICK: Mapping[str, Sequence[str]] = {
    "import_catalogue": ["--runs", "1"],
    "requests": [],
    "events": ["--runs", "3"],
    "startup": ["--runs", "3"],
    "overload": ["--surge", "10"],
    "soak": ["--minutes", "2", "--events", "100000", "--people", "10000"],
    "simulator": ["--listeners", "8", "--sessions", "7", "--policies", "full,unlearned prior,no session"],
}
Found = Mapping[str, Any]
# Stages that take less are in the file alone.
LITTLE_MS = 0.3


def run(name: str, options: Sequence[str]) -> dict[str, Any]:
    """What one benchmark printed, with the command and the day."""
    command = ["python", "-m", f"bench.{name}", *options]
    print(shlex.join(command), file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, *command[1:]], stdout=subprocess.PIPE, check=True)
    return {"command": shlex.join(command), "date": time.strftime("%Y-%m-%d"), **json.loads(done.stdout)}


def page(kept: Mapping[str, Found]) -> str:
    """What was asked, what was reached, and where every figure is."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`, or by `python -m bench.all --only NAME` for one of them. All parts are real, and on",
        "one machine; every figure, with its spread, the machine, its load before (`load_before`), the command and the",
        "day, is in the file that is linked. Figures of a busy machine are not mended.",
        "",
        "| what | asked | reached | all of it |",
        "| --- | --- | --- | --- |",
    ]
    for name, what, asked, reached in ROWS:
        if name in kept:
            link = f"[{name}]({KEPT.name}/{name}.json), {kept[name]['date']}"
            lines.append(f"| {what} | {asked} | {reached(kept[name])} | {link} |")
    return "\n".join([*lines, "", NOTES])


def _gain(found: Found) -> str:
    low, high = found["interval"]
    return f"{found['value']:.0%} ({low:.0%}..{high:.0%})"


def _tail(found: Found) -> str:
    return f"p50 {found['p50']} ms, p99 {found['p99']} ms"


def _stages(found: Found) -> str:
    """The stages that take most."""
    taken = sorted(found.get("stages_ms", {}).items(), key=lambda one: -one[1])
    told = ", ".join(f"{name.removeprefix('channel:')} {ms:.1f}" for name, ms in taken if ms >= LITTLE_MS)
    return told or "not told by that run"


def _slope(found: Found) -> str:
    return f"{found['mb_per_hour']:.0f} ({found['low']:.0f}..{found['high']:.0f})"


def _four(found: Found) -> str:
    four = found["four_channels"]
    rates = f"{_tail(four['open_loop']['ms'])}, {four['open_loop']['statuses']}"
    return f"{_tail(four['sequential']['taste']['ms'])}; {_tail(four['sequential']['seed']['ms'])}; {rates}"


Row = tuple[str, str, str, Callable[[Found], str]]
ROWS: Sequence[Row] = (
    (
        "import_catalogue",
        "whole catalogue (234,575 tracks) through Kafka until searchable",
        "45 s, aim 20 s (Gorse's plain REST insert, nothing embedded: 18 s)",
        lambda found: f"{found['tracks_searchable_s']['p50']} s",
    ),
    (
        "requests",
        "release, `send` to its first place in an answer",
        "p99 100 ms",
        lambda found: f"{_tail(found['new_release']['ms'])}; {found['new_release']['never_seen']} not within 5 s",
    ),
    (
        "requests",
        "skip, `send` to counting in an answer",
        "p99 50 ms",
        lambda found: _tail(found["skip"]["ms"]),
    ),
    (
        "requests",
        "request to reply, from taste, all channels",
        "p50 10 ms, p99 30 ms",
        lambda found: _tail(found["sequential"]["taste"]["ms"]),
    ),
    (
        "requests",
        "request to reply, from a seed, all channels",
        "p50 10 ms, p99 30 ms",
        lambda found: _tail(found["sequential"]["seed"]["ms"]),
    ),
    (
        "requests",
        "open loop, 100 requests/s",
        "p99 50 ms",
        lambda found: f"{_tail(found['open_loop']['ms'])}; {found['open_loop']['statuses']}",
    ),
    (
        "requests",
        "where the time of an answer goes, mean ms, channels in turns: from taste; from a seed",
        "",
        lambda found: "; ".join(_stages(found["sequential"][kind]) for kind in ("taste", "seed")),
    ),
    ("requests", "beside it, with 4 channels: from taste, from a seed, 100 requests/s", "", _four),
    (
        "growth",
        "p99 of answers while the search graph is built anew, to the usual",
        "2",
        lambda found: f"{found['p99_while_built_to_usual']} ({_tail(found['while_built_ms'])})",
    ),
    (
        "collaborative",
        "p99 of answers while the collaborative tables are learned anew, to that at rest",
        "1.3",
        lambda found: f"{found['answers']['p99_ratio']} ({_tail(found['answers']['while_training_ms'])})",
    ),
    (
        "training",
        "every model trained anew on the shared data, one after the other, files read with it",
        "20 minutes",
        lambda found: (
            f"{found['all_s']:.0f} s: EmbeatMLP {found['seconds']['embeat_mlp']:.0f}, Track2Vec "
            f"{found['seconds']['track2vec']:.0f}, collaborative parts {found['seconds']['collaborative']:.0f}"
        ),
    ),
    (
        "collaborative",
        "the collaborative parts of it; what they take in memory",
        "400 MB",
        lambda found: f"{found['training_s']['all parts']} s; {found['file_mb']} MB",
    ),
    (
        "learning",
        "p99 of answers while Track2Vec learns from what arrives, to that at rest",
        "1.3",
        lambda found: f"{found['p99_ratio']}",
    ),
    (
        "embedding",
        "tracks embedded a second, in batches of 4,096; one alone",
        "200,000; 0.2 ms",
        lambda found: (
            f"{found['ours']['tracks_per_s']['p50']:,.0f} from records, "
            f"{found['ours']['network_alone_per_s']['p50']:,.0f} from their numbers; "
            f"{found['ours']['one_track_ms']['p50']} ms"
        ),
    ),
    (
        "track2vec",
        "ten sessions into a co-occurrence model of a million tracks; gensim's own update of all",
        "5 ms",
        lambda found: (
            f"{_tail(found['ours']['absorb_ms'])}; gone over again later, in the background, "
            f"{_tail(found['ours']['settle_ms'])}; {found['gensim']['build_vocab_and_train_ms']['p50']:,.0f} ms"
        ),
    ),
    (
        "events",
        "listening events a second, with effects in Redis",
        "6,000",
        lambda found: (
            f"{found['with_effects_per_s']['p50']:,.0f} (decoding only: {found['decode_only_per_s']['p50']:,.0f})"
        ),
    ),
    (
        "events",
        "plays and skips of what was shown that the ranking learns from, a second",
        "5,000",
        lambda found: f"{found['with_lessons_per_s']['p50']:,.0f}",
    ),
    (
        "startup",
        "`up` with the sample imported, to its first answer",
        "15 s",
        lambda found: f"{found['answers_after_s']['p50']} s",
    ),
    (
        "text_seeds",
        "a free text to the track or artist that it means, 234,575 tracks",
        "p50 5 ms",
        lambda found: (
            f"{_tail(found['find_ms'])}; {found['hit_rate']:.0%} of {found['queries']} typed by hand understood"
        ),
    ),
    (
        "ranking",
        "500 candidates ranked by what was learnt, their features and order with it; and one lesson",
        "1 ms, 0.1 ms",
        lambda found: (
            f"{_tail(found['500_candidates_ms']['features_scores_order'])} (of it the scores: "
            f"{_tail(found['500_candidates_ms']['draw_and_scores'])}); {_tail(found['one_lesson_ms'])}"
        ),
    ),
    (
        "session_knn",
        "sessions like this one, of a million past sessions",
        "3 ms",
        lambda found: _tail(found["ask_ms"]),
    ),
    (
        "simulator",
        "simulated listeners after 100 tracks each: completed more than by the ranking that has learnt nothing",
        "15 %",
        lambda found: _gain(found["gains"]["unlearned prior"]),
    ),
    (
        "simulator",
        "the same, more than without the session; without exploration; exploring by chance; with one blend of channels",
        "more",
        lambda found: "; ".join(
            _gain(found["gains"][name]) for name in ("no session", "no exploration", "epsilon-greedy", "one blend")
        ),
    ),
    (
        "simulator",
        "of a list, the share left to a pocket of which three tracks were skipped in a row",
        "half",
        lambda found: _gain(found["skip streak"]["full"]["share left"]),
    ),
    (
        "order",
        "transitions of 30 tracks heard in order, against unordered",
        "30 % less",
        lambda found: f"{found['30 at random']['saved']['p50']:.0%} less",
    ),
    ("order", "ordering 100 tracks", "20 ms", lambda found: _tail(found["100 at random"]["ms"])),
    (
        "overload",
        "three times what can be answered: those that are answered",
        "p99 twice the normal",
        lambda found: (
            f"{found['surge_p99_of_normal']} times, at {found['surge']['rate']} requests/s: "
            f"{_tail(found['surge']['answered_ms'])}; {found['surge']['shares']}"
        ),
    ),
    (
        "overload",
        "the same, those that are refused",
        "at once",
        lambda found: _tail(found["surge"]["refused_ms"]),
    ),
    (
        "overload",
        "five seconds after",
        "as before",
        lambda found: (
            f"{_tail(found['five_seconds_after']['answered_ms'])} (before: {_tail(found['normal']['answered_ms'])})"
        ),
    ),
    (
        "soak",
        "a million events of 100,000 people in 20 minutes: growth of the listening worker, MB an hour",
        "flat",
        lambda found: _slope(found["private_mb"]["worker-listening"]["slope_of_second_half"]),
    ),
    (
        "soak",
        "the same, of the index worker",
        "flat",
        lambda found: _slope(found["private_mb"]["worker-index"]["slope_of_second_half"]),
    ),
)


NOTES = """\
The index is searched exactly until a catalogue of more than 10,000 tracks has come to rest; then its graph is built in
a child process. The request figures are taken once nothing is being learned or built any more (`seconds`). Recall@30
of the graph on the real catalogue: 1.0 from a track, 0.95 from the mean of three tracks drawn at random.

Requests come from 200 listeners in turn and from seeds among 2,000 tracks drawn from the whole catalogue. Client,
broker, stores and workers share the machine's cores, so the client's own work is in every figure. A skip is asked for
with `after`, so its time holds two trips through Kafka and the write in Redis.

Where a figure of requests misses what was asked, look at its `load_before`, at its spread, and at the line of four
channels first. What stands in the way: every channel brings candidates, each of which is a Python object that is fused,
told apart from other releases, judged, ranked and explained, some 20 us in all, and one thread does it all. Made in a
loop, an answer from taste with all channels takes 8 ms and one from a seed 4 ms; in the running stack, where broker,
stores and client take the same two cores in turn and each answer finds its caches cold, it is half as much again to
twice that, and Kafka's clients add 4 ms. How cold: 1,500 small Python objects looked at again and again take 0.7 ms
there each time, 2.1 ms after 20 ms of sleep or 2 ms of it, and still 1.3 ms after 20 ms of busy waiting, with nothing
else to run: memory and cache of these virtual cores are shared with other machines. What helped, beside the same
answers before (26 and 17 ms in the loop when tracks are met for the first time, 16 and 9 after): stored tracks are kept
encoded in memory (15 us a track to read from the engine, 1 to decode), the engine searches with one thread (0.9 to 0.6
ms of processor time a search), vectors that are learned have a graph of their own and are not written while they still
move, orders outlive writes that do not concern them, channels are asked for what comes to something, and full searches
for garbage come by the clock (before, one answer in a hundred waited 60 ms for one). Since these figures were taken the
best known tracks of artists come from memory too (45 of eight artists 0.1 ms instead of 0.35, of twelve 0.15 instead of
0.55, in a loop on a machine half as fast; an answer asks for them up to four times), and the ranking works in columns.
With the latter, in three turns with the version before, on a machine half as fast that is never twice the same: from
taste 36.1, 33.1 and 40.0 ms in the middle instead of 42.0, 35.5 and 47.3, from a seed 30.6, 31.4 and 36.8 instead of
40.3, 30.4 and 40.3, and 27.6, 27.4 and 31.3 ms of the worker's processor time instead of 32.6, 28.0 and 34.1. Tried
without gain: uvloop, huge pages, another allocator, an interpreter that was built with profiles (a few per cent), a
core of its own or a higher priority for the worker that answers, cores that are kept from sleeping, vectors of 8 bits
in the search graph.

Stages in another run of the same code, mean ms of 150 answers each. From taste (20.7 ms in the middle, 15.6 of them in
the worker): rank 4.3, similar_artists 4.2, acoustic 2.0, record of what was served 1.6 (after the answer), artist
neighbours 1.2, reply 1.1, same_artist 1.0, starts 0.8, playlist 0.8, fresh, explore, genre_popular and listener (Redis)
0.6 each, factors and neighbours 0.5. From a seed (13.5 and 9.5): rank 3.4, similar_artists 2.8, served 1.1, acoustic
0.9, artist_neighbours 0.7, reply 0.6. An answer takes the index worker 18 and 11 ms of processor time, Kafka 3 and 2,
the learning worker 1.6 and 1.2: hence some 60 answers a second, and no 100. Runs of one code differ by a third here.

At three times the rate that can be answered, the last to come are answered first and who has waited is told so. What
can be answered is 60 requests/s while the collaborative tables are learned beside it, as they were then: before
learning gave way by turns, the same 40 requests/s took 155 ms in the middle, and 27 ms now.

In the soak the models begin at their bounds, with 50,000 past sessions, and 5,000 lists are answered before the clock,
so that what is kept of tracks is full. In its second half the listening worker keeps its size (139 to 140 MB), and so
does the index worker: 386 MB in the middle and 385 at the end, between 380 and 390 but for the minute in which a new
graph takes the place of the old (402); the line through it rises by 55 MB an hour with an interval that holds 0 (-8..
128). It had 706 MB before workers embedded without torch. Three runs before this beginning were not flat: 43 MB an hour
(23..65), 111 (75..152) in 40 minutes, and 168 (-75..331) while models were still filling up. The index alone, with its
graph built twelve times over 20,000 tracks of which 1,000 are written in between, comes from 103 to 126 MB, each time
by less (5.4 at first, 1 at last). The driver and the parts share two cores: 7 % of the requests were told that they are
too many.
What was freed goes back to the system once a minute; before, the allocator kept up to 190 MB of replaced tables. Redis
holds what is known of each person, and grows with their events up to the bounds of `bench.person_bytes`.

The rows of embedding and of the start of `up` are of the version that embedded with torch. In NumPy, on a machine half
as fast: 195,000 tracks a second from records (185,000..266,000) and 419,000 from their numbers (399,000..432,000),
where torch takes the network as it is written down at 332,000 (224,000..351,000) on both cores; one alone 0.195 ms
(0.176 at best). `up` answers after 10.1 s there (9.6..10.7), with an index worker of 421 MB.

Simulated listeners (250 of 12 sessions, the same for every policy, the sample catalogue, an installation of the day
before whose embedding gives way to the one that ships in the first minutes) complete 14.9 % more after 100 tracks of
what the whole system serves than of what the unlearned prior serves (8..22 %; 15 % was asked), 22 % more over all their
tracks, and 21 % more after 100 than without the session (15..28 %). The whole system had 0.325 of its tracks completed
there, the prior 0.283 and no session 0.269. The run of a day before (100 listeners, 25 %) had 0.291, 0.232 and 0.258,
without the channel `leaning` and with another way to explore: the prior gains as much from the channel as the whole
does. Intervals are over the listeners of one run, and runs of the same code differ more than these tell, since all
listeners of a run share what is learnt: the whole system alone, run again, had 0.347 (250 listeners), 0.353 and 0.358
(100 each; 0.313 without the channel, 0.289 without either). So that the other parts add something is not shown, and the
one interval without 0 in it is no proof of the opposite: -0.7 % (-5..5) beside no exploration, -7 % (-12..-3) beside
exploring by chance, -1.9 % (-6..3) beside one blend of channels.

What is explored is completed 0.29 times where the rest of the list is 0.33, and was 0.21 where the rest was 0.27 before
it was what may be hoped of. What that costs and what it brings is about the same here, where a taste stays what it is
but for one change. Not kept: anchors of the running session at three or eight times their weight, exploring by the mean
of what is believed alone (16 % less, with what was explored before), a weight of 2.5 for `leaning` (4 % less, -3..10).

A streak of three soon skips leaves a pocket 0.29 of its share (0.25..0.33; half was asked), and 0.80 without the
session. Before whatever is like all of them sank, by sound and by the lists that hold tracks together, it was 0.78 and
0.65 in two runs; with a ranking that has learnt that scores say little it was 0.53 (0.42..0.63), until pushes were no
part of the score that it weighs. Tried before that: skips in a row push together, as independent events do, and not the
strongest alone (0.67); what a list starts from loses weight as tracks like it are skipped (0.43 to 0.63, but 1 to 8 %
less is completed after 100 tracks in each of five runs).

The aim of 20 s of the import is not reached, and the 45 s only by single runs (44.2 s at best). One process owns the
index, and of a track's time there a fifth is to hand it to the engine (22 us, of which 17 are its numbers and keywords,
each tried as every type in turn), a fifth the engine's update, a quarter Faust and Kafka, a tenth the words of its
title. What helped: the engine is not asked of tracks that are known to be new (53 s before). Since the figure above was
taken records reach agents in runs: in turns with the version before, on a machine half as fast, 69.0 s (68.0..82.1) and
83.6 s (73.8..87.4). Tried: batches of 256 instead of 64 (no gain), no field index at all (no gain), torch on both cores
(slower: its threads wait for one another as soon as a core is busy). Beside it the co-occurrence model learns from the
playlists that come in, on what the import leaves of two cores.
"""


def main() -> None:
    """Run what was asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs of each")
    parser.add_argument("--only", metavar="NAME,...", default=",".join(COMMANDS), help="of: " + ", ".join(COMMANDS))
    parser.add_argument("--kept", action="store_true", help="run none, and write the page from what is kept")
    options = parser.parse_args()
    names = [] if options.kept else options.only.split(",")
    if unknown := [name for name in names if name not in COMMANDS]:
        parser.error(f"expected benchmarks of {', '.join(COMMANDS)}, got {', '.join(unknown)}")
    KEPT.mkdir(exist_ok=True)
    for name in names:
        found = run(name, QUICK.get(name, COMMANDS[name]) if options.quick else COMMANDS[name])
        (KEPT / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))}
    PAGE.write_text(page(kept))
    print(f"written: {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
