"""`throughbeat doctor`: is every part there, and what to do if not."""

from __future__ import annotations

import dataclasses

import msgspec
import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, settings_from


def doctor(
    kafka: KafkaOption = None, prefix: PrefixOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Check every part and say what to do; exit code 1 when something is wrong.

    Example: throughbeat doctor --json | jq '.[] | select(.ok | not) | .advice'
    """
    from streams.doctor import examine

    checks = []
    for check in examine(settings_from(kafka, prefix, data_dir)):
        checks.append(check)
        if not as_json:
            sign = typer.style("ok  ", fg="green") if check.ok else typer.style("FAIL", fg="red", bold=True)
            advice = f"\n       → {check.advice}" if check.advice else ""
            typer.echo(f"{sign} {check.part}: {check.detail}{advice}")
    if as_json:
        typer.echo(msgspec.json.encode([dataclasses.asdict(check) for check in checks]).decode())
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
