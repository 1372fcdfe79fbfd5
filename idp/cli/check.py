"""`idp check`: looks at everything that can be wrong before a member finds out, and says the fix."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from idp.cli.doctor import CHECKS, Advice, Patient, examine
from idp.cli.output import command_options, load_config, result, say
from idp.errors import IdpError
from idp.keys import KeyRing
from idp.parts import Parts, build_parts
from idp.protocols.saml.source.expiry import endings
from idp.store.choice import open_store, running_store

_CLOCK_BEGIN = 1_735_689_600  # 2025-01-01: a clock before that was never set


@click.command()
@command_options
def check() -> None:
    """Check configuration, store, keys, membership system and clock."""
    loaded = load_config()
    findings = [_finding("configuration", lambda: f"{loaded.path} is good")]
    findings.append(_finding("keys", lambda: _look_at_keys(loaded.config.keys.folder)))
    findings.append(_finding("clock", _look_at_clock))
    advice: list[Advice] = []
    try:
        with running_store(loaded.config.store, production=loaded.config.server.production) as choice:
            store = open_store(choice.url, timeout=loaded.config.store.timeout)
            findings.append(_finding("store", lambda: f"{store.ping()}: {choice.why}"))
            stands, parts = findings[-1]["ok"], build_parts(loaded, store)
            findings.append(_finding("directory", parts.directory.check))
            findings.append(_finding("clients", lambda: _look_at_clients(parts)))
            advice = examine(Patient(loaded, parts if stands else None))  # or each look would wait for it again
            store.close()
    except IdpError as error:
        findings.append({"part": "store", "ok": False, "detail": error.message, "cause": error.cause})
        advice = examine(Patient(loaded, None))
    for finding in findings:
        say(f"{'ok  ' if finding['ok'] else 'FAIL'} {finding['part']}: {finding['detail']}")
    for each in advice:
        say(f"{'FAIL' if each.serious else 'warn'} {each.check}: {each.detail}. Fix: {each.fix}")
    good = all(finding["ok"] for finding in findings) and not any(each.serious for each in advice)
    result({"ok": good, "findings": findings, "checks": list(CHECKS), "advice": [asdict(each) for each in advice]})
    click.get_current_context().exit(0 if good else 1)


def _finding(part: str, look: Callable[[], str]) -> dict[str, object]:
    try:
        return {"part": part, "ok": True, "detail": look()}
    except IdpError as error:
        detail = f"{error.message} ({error.received})" if error.received else error.message
        return {"part": part, "ok": False, "detail": detail, "cause": error.cause}


def _look_at_keys(folder: Path) -> str:
    current = KeyRing(folder).current
    return f"current signing key {current.kid}, certificate until {current.certificate.not_valid_after_utc:%Y-%m-%d}"


def _look_at_clock() -> str:
    now = time.time()
    if now < _CLOCK_BEGIN:
        raise IdpError("clock.unset", "The clock of this machine was never set: run an NTP service.")
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))


def _look_at_clients(parts: Parts) -> str:
    parts.protocols.saml.check_keys()
    known = parts.clients.snapshot().clients
    grave = [ending.sentence for ending in endings(parts.protocols.saml.known(), now=parts.now()) if ending.grave]
    grave += parts.protocols.saml.unusable()
    if grave:
        raise IdpError("saml.metadata_missing", "; ".join(grave))
    return f"{len(known)} known"
