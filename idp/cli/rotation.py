"""`idp keys rotate`: a change of signing key in steps, and who is ready for the next one.

Without words it is done at once for all uses. `idp keys rotate saml --publish`, then `--activate` when the applications have fetched our
metadata, then `--retire`; `oidc` in the same way for tokens. Without a step it says how far a change is, and
what comes next where `[keys] calendar` does it. What is done by hand is an event, too, on this command's standard error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import click

from idp.audit import AuditLog
from idp.cli.output import command_options, load_config, opened_parts, result, say
from idp.config import Loaded
from idp.errors import IdpError
from idp.keys import USES, EdwardsKey, EveryKey, KeyRing, Kind, SigningKey, Use
from idp.keys.calendar import EVENTS, Change, Step, changes
from idp.keys.folder import read_ring
from idp.parts import Parts, audit_key
from idp.protocols.saml.reader import Follower, Reading

_SETTLING = 86400  # seconds after which whoever reads our keys regularly has read them (cacheDuration is six hours)


@click.command()
@click.argument("use", type=click.Choice(USES), required=False)
@click.option("--publish", "step", flag_value="publish", help="Prepare the next key and show it beside the current one.")
@click.option("--activate", "step", flag_value="activate", help="Sign with the next key; the old one stays published.")
@click.option("--retire", "step", flag_value="retire", help="Drop the old key.")
@click.option("--kind", type=click.Choice(get_args(Kind)), default="rsa", help="Of the key; SAML takes no ed25519, tokens no p-384.")
@command_options
def rotate(use: Use | None, step: Step | None, kind: Kind) -> None:
    """Change signing keys: at once, or in three steps."""
    if use is None and (step or kind != "rsa"):
        raise IdpError("keys.use_missing", f"Say whose key: idp keys rotate {'|'.join(USES)} --{step or 'publish'}")
    if (use, kind) in (("oidc", "p-384"), ("saml", "ed25519")):
        raise IdpError("keys.kind_unfit", "SAML messages are signed with RSA, P-256 or P-384, tokens with RSA, P-256 or Ed25519.")
    if use is None:
        rotate_at_once()
    elif use == "saml":
        with opened_parts() as (loaded, parts):
            take_step(loaded, use, step, kind, parts=parts)
    else:
        take_step(load_config(), use, step, kind)


def rotate_at_once() -> None:
    loaded = load_config()
    ring = KeyRing(loaded.config.keys.folder)
    key = ring.rotate(**making(loaded))
    for use in USES:
        _note(ring.of(use), "activate", "rsa", [key.kid])
    say(f"{key.kid} signs now; running workers follow within a second")
    result({"key": described(key)})


def take_step(loaded: Loaded, use: Use, step: Step | None, kind: Kind, *, parts: Parts | None = None) -> None:
    ring = ring_of(loaded, use)
    warnings = _objections(ring, kind, parts) if step == "activate" else []
    done: dict[str, Any] = _STEPS[step](ring, kind, loaded, parts) if step else {}
    watched = _newest(ring, kind)
    report = {
        "use": use,
        "step": step,
        "kind": kind,
        **done,
        "keys": [described(key) for key in _of_kind(ring, kind)],
        "warnings": warnings,
        "calendar": [_planned(each) for each in _agenda(loaded, use, kind)],
    }
    if parts is not None and watched is not None:
        report |= _readers(parts, watched)
    _tell(report, watched, use)
    result(report)


def _publish(ring: KeyRing, kind: Kind, loaded: Loaded, _: Parts | None) -> dict[str, Any]:
    known = {each.kid for each in ring.every}
    key = ring.publish(kind, **making(loaded))
    _note(ring, "publish", kind, {key.kid} - known)
    return {"key": described(key)}


def _activate(ring: KeyRing, kind: Kind, _: Loaded, __: Parts | None) -> dict[str, Any]:
    key = ring.activate(kind)
    _note(ring, "activate", kind, [key.kid])
    return {"key": described(key)}


def _retire(ring: KeyRing, _: Kind, __: Loaded, parts: Parts | None) -> dict[str, Any]:
    """A key that a client's settings name is kept for it."""
    named = parts.protocols.saml.named_keys() if parts else named_in_configuration()
    dropped = ring.retire(keep=named)
    _note(ring, "retire", None, dropped)
    return {"retired": list(dropped)}


def _note(ring: KeyRing, step: Step, kind: Kind | None, kids: Iterable[str]) -> None:
    audit = AuditLog(key=lambda: audit_key(ring))
    for kid in kids:
        audit.record(EVENTS[step], use=ring.use, kind=kind, kid=kid, by="operator")
    audit.close()


def named_in_configuration() -> frozenset[str]:
    """The keys that settings of SAML clients name, also when the other use drops its share of one."""
    with opened_parts() as (_, parts):
        return parts.protocols.saml.named_keys()


_STEPS: Mapping[Step, Callable[[KeyRing, Kind, Loaded, Parts | None], dict[str, Any]]] = {
    "publish": _publish,
    "activate": _activate,
    "retire": _retire,
}


def _objections(ring: KeyRing, kind: Kind, parts: Parts | None) -> list[str]:
    """What speaks against activating now; the operator may know better, so it is said and done all the same."""
    following = next((key for key in _of_kind(ring, kind) if key.state == "next"), None)
    if following is None:
        return []
    found = []
    age = int(time.time()) - following.since
    if age < _SETTLING:
        found.append(f"The key was published {age // 3600} hours ago; a day is what readers of our keys should be given.")
    waiting = [each.client_id for each in parts.protocols.saml.followers(following.kid) if each.waits_for(following.kid)] if parts else []
    if waiting:
        found.append(f"Nothing shows that these applications have fetched the new key: {', '.join(waiting)}. Ask them, or look below.")
    return found


def _agenda(loaded: Loaded, use: Use, kind: Kind) -> list[Change]:
    """What comes by itself; nothing where the calendar is off."""
    settings = loaded.config.keys
    planned = changes(read_ring(settings.folder), use, settings) if use in settings.calendar else []
    return [each for each in planned if each.kind == kind]


def _planned(change: Change) -> dict[str, object]:
    return {"step": change.step, "kid": change.kid, "at": change.at}


def _readers(parts: Parts, key: EveryKey) -> dict[str, Any]:
    saml = parts.protocols.saml
    visits = saml.readers.of_key(key.kid)
    return {
        "applications": [_follower(each, key.kid) for each in saml.followers(key.kid)],
        "others": [_visit(each) for each in visits if not each.client_id],
    }


def _follower(follower: Follower, kid: str) -> dict[str, Any]:
    state = "unknown" if follower.waits_for(kid) else "has a key of its own"
    if follower.fetched is not None:
        state = "has fetched the key"
    return {"id": follower.client_id, "name": follower.name, "state": state, "fetched": follower.fetched}


def _visit(reading: Reading) -> dict[str, Any]:
    return {"address": reading.address, "agent": reading.agent, "at": reading.at}


def _tell(report: Mapping[str, Any], watched: EveryKey | None, use: Use) -> None:
    for warning in report["warnings"]:
        click.echo(f"WARNING: {warning}", err=True)
    for key in report["keys"]:
        say(f"{key['state']:8} {key['kid']}  since {_day(key['since'])}")
    for kid in report.get("retired", ()):
        say(f"dropped  {kid}")
    for planned in report["calendar"]:
        say(f"calendar: {planned['step']} {planned['kid']} from {_day(planned['at'])} on")
    if "applications" in report and watched is not None:
        _tell_readers(report, watched)
    if use == "oidc":
        say("Who reads our JWK set is not written down: its readers fetch it again when they meet a key that they do not know.")


def _tell_readers(report: Mapping[str, Any], watched: EveryKey) -> None:
    say(f"\nWho has fetched metadata with {watched.kid} at an address of its own (/saml/metadata/ID):")
    for each in report["applications"]:
        when = f", {_day(each['fetched'])}" if each["fetched"] else ""
        say(f"  {each['id']}: {each['state']}{when}")
    say("At the address for all, where we cannot tell who it is:" if report["others"] else "Nobody at the address for all.")
    for each in report["others"]:
        say(f"  {_day(each['at'])}  {each['address']}  {each['agent']}")


def _newest(ring: KeyRing, kind: Kind) -> EveryKey | None:
    """The key that applications have to learn of: the next one, else the current."""
    order = {"next": 0, "current": 1}
    return min((key for key in _of_kind(ring, kind) if key.state in order), key=lambda key: order[key.state], default=None)


def _of_kind(ring: KeyRing, kind: Kind) -> list[EveryKey]:
    return [key for key in ring.every if _kind(key) == kind]


def _kind(key: EveryKey) -> str:
    if isinstance(key, SigningKey):
        return "rsa"
    return "ed25519" if isinstance(key, EdwardsKey) else f"p-{key.size}"


def ring_of(loaded: Loaded, use: Use) -> KeyRing:
    return KeyRing(loaded.config.keys.folder, use=use, retired_life=loaded.config.keys.retired_life)


def making(loaded: Loaded) -> dict[str, Any]:
    """How new keys are made."""
    return {"bits": loaded.config.keys.rsa_bits, "common_name": loaded.config.server.url.partition("//")[2]}


def described(key: EveryKey) -> dict[str, object]:
    return {
        "kid": key.kid,
        "state": key.state,
        "since": key.since,
        "kind": _kind(key),
        "bits": key.size,
        "created": key.created,
        "not_after": key.certificate.not_valid_after_utc.isoformat(),
        "certificate": key.certificate_base64,
    }


def _day(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
