"""The lab's report and its page, on playlists of the bundled sample."""

from __future__ import annotations

import base64
import csv
import json
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from typer.testing import CliRunner, Result

from streams.catalogue import sample_playlists
from streams.cli import app
from streams.playlist_page import heat_map, page_of, png
from streams.playlist_report import Line, Order, Report

PLAYLIST = "tt:0275i1VNfBnsNbPl0QIBpG"


def analysed(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["playlist", "analyse", *arguments])


def test_playlist_of_the_sample_is_told_as_json_and_drawn(tmp_path: Path) -> None:
    page = tmp_path / "lab.html"
    options = ("--catalogue", "sample", "--playlist", PLAYLIST, "--html", str(page), "--json")
    result = analysed(str(sample_playlists()), *options)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert 0 < told["cohesion"] < 1
    assert {line["fit"] for line in told["lines"]} >= {0.0, 1.0}
    held = {line["track_id"] for line in told["lines"]}
    assert not held & {one["track_id"] for one in told["next"]}
    assert set(told["outliers"]) < held
    order = told["order"]
    assert sorted(order["track_ids"]) == sorted(held)
    assert order["track_ids"][0] == told["lines"][0]["track_id"]
    # A third less than unordered is what lists that are heard in order are held to.
    assert order["cost"] < 0.7 * order["cost_now"]
    assert len(told["lines"]) + len(told["missing"]) == told["tracks"]
    text = page.read_text()
    assert text.count("<circle") == len(told["lines"])
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)


def test_file_of_several_playlists_asks_which_and_a_bare_id_needs_no_catalogue(tmp_path: Path) -> None:
    asked = analysed(str(sample_playlists()), "--catalogue", "sample")
    assert "expected --playlist with one of the" in asked.stderr
    bare = analysed("no-such-file", "--catalogue", "sample")
    assert "expected a file of playlists" in bare.stderr


def test_playlist_of_unknown_tracks_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("playlist_id", "track_id"), ("mine", "nowhere"), ("mine", "nothing")])
    result = analysed(str(path), "--catalogue", "sample")
    assert "mine: expected at least two tracks of known sound, got 0 of 2" in result.stderr


def report(*likeness: tuple[float, ...]) -> Report:
    lines = tuple(
        Line(
            position=at,
            track_id=f"t{at}",
            title="<script>alert(1)</script>",
            artist="A & B",
            fit=1.0,
            chosen=1,
            nearest=(f"t{1 - at}",),
            place=(float(at), 0.5),
            is_outlier=False,
            is_hub=False,
            is_isolate=False,
        )
        for at in range(len(likeness))
    )
    return Report(
        name="<b>Mine</b>",
        tracks=2,
        cohesion=0.5,
        lines=lines,
        missing=("gone",),
        next=(),
        order=Order(tuple(one.track_id for one in lines), 0.5, 0.5),
        likeness=likeness,
    )


def test_names_are_text_and_the_page_is_well_formed() -> None:
    text = page_of(report((1.0, 0.5), (0.5, 1.0)))
    assert "<script" not in text
    assert "<b>Mine" not in text
    assert "1 of them unknown" in text

    class Balanced(HTMLParser):
        stack: list[str]

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "img", "line"):
                self.stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert tag == "line" or self.stack.pop() == tag

    parser = Balanced()
    parser.stack = []
    parser.feed(text)
    assert parser.stack == []


def test_heat_map_is_an_image_with_the_likest_pairs_the_lightest() -> None:
    data = base64.b64decode(heat_map(report((1.0, 0.2), (0.2, 1.0))).partition(",")[2])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (2, 2)
    body = data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8]
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(2, 7)[:, 1:].reshape(2, 2, 3)
    assert rows[0, 0].sum() > rows[0, 1].sum()
    assert (rows[0, 0] == rows[1, 1]).all()


def test_each_chunk_of_the_image_has_its_checksum() -> None:
    data = png(np.zeros((3, 5, 3), np.uint8))[8:]
    names = []
    while data:
        (length,) = struct.unpack(">I", data[:4])
        body, (checksum,) = data[4 : 8 + length], struct.unpack(">I", data[8 + length : 12 + length])
        assert zlib.crc32(body) == checksum
        names.append(body[:4])
        data = data[12 + length :]
    assert names == [b"IHDR", b"IDAT", b"IEND"]
