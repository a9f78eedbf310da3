"""How long `throughbeat up` takes to its first answer when the sample is already imported, and what it keeps in memory.

python -m bench.startup [--runs 5]
"""

from __future__ import annotations

from bench.harness import arguments, report, running, scratch, summary


def main() -> None:
    options = arguments(__doc__, runs=5)
    taken = []
    resident: dict[str, float] = {}
    with scratch() as data_dir:
        with running(data_dir, "sample") as here:
            first_s = here.ready_s
        for _ in range(options.runs):
            with running(data_dir, "sample") as here:
                taken.append(here.ready_s)
                resident = here.resident_mb()
    report(
        "startup",
        {"first_with_import_s": round(first_s, 2), "answers_after_s": summary(taken), "resident_mb": resident},
    )


if __name__ == "__main__":
    main()
