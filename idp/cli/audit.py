"""`idp audit`: whether an audit log is as it was written, and under which label a typed name stands in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from idp.audit import typed_label
from idp.audit.chain import Problem, Verification
from idp.cli.output import command_options, load_config, result, say
from idp.errors import IdpError
from idp.keys import KeyRing
from idp.parts import audit_key
from idp.sso.throttle import counter, spelling

_MOST = 20  # problems told; the first is what matters


@click.group()
def audit() -> None:
    """Look at the audit log."""


@audit.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@command_options
def verify(files: tuple[str, ...]) -> None:
    """Find the first line altered, missing or inserted. Give rotated files with the oldest first; - is standard input."""
    reading = Verification(audit_key(KeyRing(load_config().config.keys.folder)))
    problems = [problem for file in files for problem in _read(reading, file)]
    for problem in problems[:_MOST]:
        say(f"{problem.file}:{problem.line}: {problem.kind}: {problem.detail}")
    if len(problems) > _MOST:
        say(f"... and {len(problems) - _MOST} more")
    say(f"{reading.events} events in {len(reading.chains)} chains; {reading.other_lines} other lines")
    for name in reading.continued:
        say(f"chain {name} began before the first of these files")
    for name in reading.open:
        last = reading.chains[name]
        say(f"chain {name} has no end after {last.file}:{last.line}: still written, killed, or cut off there; the log cannot tell which")
    told = [asdict(problem) for problem in problems[:_MOST]]
    good = not problems
    result({"ok": good, "events": reading.events, "problems": told, "continued": reading.continued, "open": reading.open})
    click.get_current_context().exit(0 if good else 1)


@audit.command()
@click.argument("name")
@command_options
def label(name: str) -> None:
    """Print the label under which failed logins with this user name stand in the log."""
    found = typed_label(audit_key(KeyRing(load_config().config.keys.folder)), counter("account", spelling(name.strip())))
    say(found)
    result({"label": found})


def _read(reading: Verification, file: str) -> Iterator[Problem]:
    if file == "-":
        yield from reading.read("-", sys.stdin)
        return
    try:
        with Path(file).open(encoding="utf-8", errors="replace", newline="\n") as lines:
            yield from reading.read(file, lines)
    except OSError as error:
        raise IdpError("audit.unreadable", f"{file} cannot be read: {error.strerror}") from None
