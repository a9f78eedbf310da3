"""The command `throughbeat`: one module a command, each imported when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.registry import Entry, LazyGroup

__all__ = ["app", "main"]

COMMANDS = {
    "demo": Entry("streams.cli.demo", "A listener and a new release, live, on the bundled sample."),
    "up": Entry("streams.cli.up", "Run the whole stack on this machine."),
    "recommend": Entry("streams.cli.recommend", "Ask for recommendations, as any program does."),
    "publish": Entry("streams.cli.publish", "Send records, one a line of JSON, to a topic."),
    "import": Entry("streams.cli.importing", "Bring in tracks, artists, playlists or charts."),
    "weekly": Entry("streams.cli.weekly", "Make the week's list for everybody who listens."),
    "playlist": Entry("streams.cli.playlist", "Say what a playlist is made of, with plots."),
    "person": Entry("streams.cli.person", "Show all that is held about a person."),
    "forget": Entry("streams.cli.forget", "Delete all that is held about a person."),
    "topics": Entry("streams.cli.topics", "Create and list the topics of the contract."),
    "dead-letters": Entry("streams.cli.dead_letters", "Look at what could not be applied; send it again."),
    "embed": Entry("streams.cli.embed", "Turn audio features into embeddings."),
    "train": Entry("streams.cli.train", "Train a model."),
    "models": Entry("streams.cli.models", "List, promote and roll back versions of models."),
    "evaluate": Entry("streams.cli.evaluate", "Hold recommendations against what people did."),
    "worker": Entry("streams.cli.worker", "Run some roles against Kafka and Redis elsewhere."),
    "gateway": Entry("streams.cli.gateway", "Serve recommendations over HTTP."),
    "doctor": Entry("streams.cli.doctor", "Check every part and say what to do."),
}
LazyGroup.entries = COMMANDS

app = typer.Typer(
    name="throughbeat",
    cls=LazyGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the rich help of this list alone would take 0.2 s to import
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"throughbeat {version('throughbeat')}")
        raise typer.Exit


@app.callback()
def throughbeat(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Recommends music from a stream of events, within milliseconds, and says why.

    Start with: throughbeat up --catalogue sample
    """


def main() -> None:
    """Entry point of the `throughbeat` script."""
    app(prog_name="throughbeat")
