"""The arithmetic of docs/scale.md, worked by hand for figures that are easy to work with."""

from __future__ import annotations

from bench.scale import rows_of

CPU = {"worker-index": 60.0, "kafka": 6.0, "redis": 0.6, "weekly": 3.0}


def test_table_is_what_follows_from_the_figures() -> None:
    rows = {
        what: much
        for what, _, much in rows_of([{"record_bytes": 10_000}, {"record_bytes": 11_000, "cpu_ms_a_list": CPU}])
    }
    # 600,000,000 lists in 172,800 s; at 60 ms a list and a load of 0.6, a tenth of a core second each.
    assert rows["lists a second"] == "3,472"
    assert rows["cores for answering"] == "347"
    assert rows["cores for Redis"] == "3"
    # 10,000 and twelve times 1,000 bytes; three copies of 600 million.
    assert rows["a record of `playlists.weekly`, bytes"] == "22,000"
    assert rows["`playlists.weekly`, TB"] == "39.6"
    assert rows["persons in Redis, TB"] == "23.2"  # 38,592 bytes each
    assert rows["listening events a second"] == "208,333"
