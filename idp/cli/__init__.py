"""The `idp` command. Its names, options and JSON are a contract: other people's scripts rely on them."""

from __future__ import annotations

import click

from idp import __version__
from idp.cli.add import add
from idp.cli.audit import audit
from idp.cli.backup import backup, restore
from idp.cli.bridge import bridges
from idp.cli.check import check
from idp.cli.client import clients
from idp.cli.demo import demo
from idp.cli.key import keys, metadata
from idp.cli.notice import notices
from idp.cli.output import config_option
from idp.cli.preview import preview
from idp.cli.refresh import accept, diff, refresh
from idp.cli.run import run
from idp.cli.session import sessions


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="idp")
@config_option
def main() -> None:
    """One sign-in for every vendor of an association that runs iMIS."""


for part in (add, refresh, diff, accept):
    clients.add_command(part)
for command in (run, demo, check, keys, metadata, clients, bridges, sessions, notices, preview, audit, backup, restore):
    main.add_command(command)
