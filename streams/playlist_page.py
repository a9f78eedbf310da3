"""The lab's report as one HTML page that needs no network: plots are drawn into it."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np
from numpy.typing import NDArray

from streams.playlist_report import Line, Next, Report

MAP, MARGIN = 640, 24
HEAT = 640
# From unlike to alike: dark blue, teal, yellow.
COLOURS = np.array([[28, 22, 68], [33, 110, 128], [84, 182, 120], [248, 228, 80]], dtype=np.float64)
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1{margin-bottom:0}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2em .6em;
border-bottom:1px solid #ddd}
td.n,th.n{text-align:right}.bar{background:#216e80;height:.8em;display:inline-block}.tag{font-size:.8em;padding:0 .4em;
border-radius:.6em;background:#eee;margin-right:.3em}svg,img{max-width:100%;height:auto;border:1px solid #ddd}
.heat{image-rendering:pixelated}.big{font-size:1.4em}small{color:#666}
"""


def page_of(report: Report) -> str:
    """The whole page."""
    title = escape(report.name)
    missing = f", {len(report.missing)} of them unknown to the catalogue or without a sound" if report.missing else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{STYLE}</style></head><body>
<h1>{title}</h1>
<p>{report.tracks} tracks{missing}.</p>
<p class="big">Cohesion {report.cohesion:.2f}</p>
<p><small>1 = all tracks sound the same, 0 = they have nothing in common.</small></p>
<h2>Tracks by how well they fit</h2>
<table><tr><th class="n">#</th><th>title</th><th>artist</th><th>fit</th><th class="n">neighbour of</th><th></th></tr>
{"".join(_row(one) for one in sorted(report.lines, key=lambda one: (-one.fit, one.position)))}
</table>
<h2>Who is near whom</h2>
<p><small>Each track with its nearest neighbours; alike stands together.</small></p>
{map_of(report)}
<h2>Likeness of all pairs</h2>
<p><small>In the order of the playlist; the lighter, the more alike.</small></p>
<img class="heat" width="{HEAT}" height="{HEAT}" alt="heat map of likeness" src="{heat_map(report)}">
<h2>An order to hear it in</h2>
<p><small>From track to track the tempo, the key, the energy and the sound change by {report.order.cost:.2f} on average,
as it stands by {report.order.cost_now:.2f} (0 = not at all, 1 = by all they can). The first track stays.</small></p>
<ol>
{_ordered(report)}
</ol>
<h2>What would go well with it</h2>
<table><tr><th>title</th><th>artist</th><th class="n">likeness</th></tr>
{"".join(map(_next, report.next))}
</table>
</body></html>
"""


def map_of(report: Report) -> str:
    """The tracks as points, lines to their nearest neighbours, as SVG; the text appears under the pointer."""
    at = {one.track_id: _point(one) for one in report.lines}
    pairs = {tuple(sorted((one.track_id, other))) for one in report.lines for other in one.nearest}
    lines = "".join(
        f'<line x1="{at[a][0]:.1f}" y1="{at[a][1]:.1f}" x2="{at[b][0]:.1f}" y2="{at[b][1]:.1f}"/>'
        for a, b in sorted(pairs)
    )
    points = "".join(_dot(one, *at[one.track_id]) for one in report.lines)
    return (
        f'<svg viewBox="0 0 {MAP} {MAP}" width="{MAP}" height="{MAP}" role="img" aria-label="map of likeness">'
        f'<g stroke="#bbb" stroke-width="1">{lines}</g>{points}</svg>'
    )


def heat_map(report: Report) -> str:
    """The cosines of all pairs as a PNG in a data address: the least of them dark, the greatest light."""
    values = np.array(report.likeness)
    low, high = float(values.min()), float(values.max())
    shares = (values - low) / max(high - low, 1e-9)
    places = shares * (len(COLOURS) - 1)
    below = np.minimum(places.astype(int), len(COLOURS) - 2)
    rest = (places - below)[..., None]
    pixels = (COLOURS[below] * (1 - rest) + COLOURS[below + 1] * rest).round().astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def png(pixels: NDArray[np.uint8]) -> bytes:
    """An image of (H, W, 3) bytes. Source: Portable Network Graphics, ISO/IEC 15948."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _row(one: Line) -> str:
    tags = "".join(f'<span class="tag">{name}</span>' for name in _tags(one))
    return (
        f'<tr><td class="n">{one.position + 1}</td><td>{escape(one.title)}</td><td>{escape(one.artist)}</td>'
        f'<td><span class="bar" style="width:{one.fit * 6:.2f}em"></span> {one.fit:.2f}</td>'
        f'<td class="n">{one.chosen}</td><td>{tags}</td></tr>\n'
    )


def _ordered(report: Report) -> str:
    lines = {one.track_id: one for one in report.lines}
    told = (lines[track_id] for track_id in report.order.track_ids)
    return "\n".join(f"<li>{escape(f'{one.title} - {one.artist}')}</li>" for one in told)


def _next(one: Next) -> str:
    cells = f"<td>{escape(one.title)}</td><td>{escape(one.artist)}</td>"
    return f'<tr>{cells}<td class="n">{one.likeness:.2f}</td></tr>\n'


def _tags(one: Line) -> list[str]:
    said = {"outlier": one.is_outlier, "hub": one.is_hub, "isolate": one.is_isolate}
    return [name for name, holds in said.items() if holds]


def _point(one: Line) -> tuple[float, float]:
    x, y = one.place
    return MARGIN + x * (MAP - 2 * MARGIN), MARGIN + y * (MAP - 2 * MARGIN)


def _dot(one: Line, x: float, y: float) -> str:
    colour = "#c0392b" if one.is_outlier else "#e67e22" if one.is_hub else "#216e80"
    label = escape(f"{one.title} - {one.artist} ({', '.join([f'fit {one.fit:.2f}', *_tags(one)])})")
    radius = 4 + min(one.chosen, 12) / 2
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}">'
    return f"{circle}<title>{label}</title></circle>"
