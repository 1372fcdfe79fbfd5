"""`idp demo`: a whole association on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from idp.cli.output import command_options


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1024, 65000),
    default=8000,
    show_default=True,
    help="The start page's port; the next two are used as well.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    help="Where the demo keeps its data.",
)
@click.option(
    "--sign-in",
    "way",
    type=click.Choice(["form", "imis-redirect", "imis-cookie"]),
    default="form",
    show_default=True,
    help="Where members sign in: on this server's page, on iMIS's, or there with a cookie for both.",
)
@command_options
def demo(port: int, data: Path, way: Literal["form", "imis-redirect", "imis-cookie"]) -> None:
    """Run a whole association: this server, a simulated iMIS and six sample vendors."""
    from idp.demo.town import run_demo  # the demo's libraries are an optional extra

    run_demo(port, data, way)
