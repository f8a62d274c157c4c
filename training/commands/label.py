"""The command ``label``: pictures and their categories, by hand, on a local page."""

from pathlib import Path

import click

from training.commands.options import FILE


@click.command()
@click.argument("folder", type=FILE)
@click.option(
    "--out",
    type=FILE,
    show_default="FOLDER-labels",
    help="Folder of the tables; give the same one again to go on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port of the page on this machine; 0 takes a free one.",
)
def label(folder: Path, out: Path | None, port: int) -> None:
    """Label the pictures of FOLDER on a page in the browser, alone or with others.

    Each person has a table of their own and does not see what the others said. The page tells how
    far they agree, and where they differ or doubt, it can be settled. What is clear then stands in
    labels.csv, which `train --by-label` and `crop-faces --by-label` read.
    """
    from training.labelling.labels import MERGED, Labels
    from training.labelling.server import HOST, open_socket, serve

    whole = folder.absolute()
    labels = Labels(folder, out or whole.with_name(f"{whole.name}-labels"))
    listening = open_socket(port)
    click.echo(f"{len(labels.files)} pictures. Open http://{HOST}:{listening.getsockname()[1]}/")
    click.echo(f"The labels: {labels.out / MERGED}. Ctrl-C ends the page; nothing is lost.")
    serve(labels, listening)
