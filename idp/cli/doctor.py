"""The doctor of `idp check`: each look finds one thing that will go wrong, or that is weaker than it need be, and says the fix."""

from __future__ import annotations

import os
import resource
import stat
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from idp.app import Parts
from idp.cli.run import parse_listen
from idp.config import Config, Loaded
from idp.errors import IdpError
from idp.keys import USES, KeyRing
from idp.protocols.oidc.signing import signing_problems
from idp.secret import new_id
from idp.sso.client import Client
from idp.web.settings import is_loopback

_MONTH = 30
_FILES = 4096  # open files that a server under load needs
_SMALLEST_KEY = 2048
_LONG_QUEUE = 100


@dataclass(frozen=True)
class Advice:
    """What was found. `check` is a stable id; a `serious` one makes the command fail."""

    check: str
    detail: str
    fix: str
    serious: bool = False


@dataclass(frozen=True)
class Patient:
    """All that may be looked at. `parts` is None while the store does not answer."""

    loaded: Loaded
    parts: Parts | None

    @property
    def config(self) -> Config:
        return self.loaded.config


Look = Callable[[Patient], Iterator[Advice]]


def examine(patient: Patient) -> list[Advice]:
    """Everything that was found, in the order of CHECKS. What cannot be looked at is left to the parts of `idp check` themselves."""
    found: list[Advice] = []
    for look in CHECKS:
        try:
            found += look(patient)
        except (IdpError, OSError):
            continue
    return found


def _https(patient: Patient) -> Iterator[Advice]:
    if not patient.config.server.secure and not patient.config.server.production:
        yield Advice(
            "server.plain_http", "members' passwords travel unprotected", 'set [server] url to "https://..." before members use it'
        )


def _production(patient: Patient) -> Iterator[Advice]:
    if patient.config.server.secure and not patient.config.server.production:
        yield Advice("server.not_production", "what is for trials only is still allowed", "set [server] production = true")


def _proxies_missing(patient: Patient) -> Iterator[Advice]:
    server = patient.config.server
    if server.secure and not server.trusted_proxies:
        detail = "the server itself speaks no TLS, and no proxy before it is trusted: all members share the proxy's address"
        yield Advice("server.no_proxy", detail, 'name the proxy in [server] trusted_proxies, such as ["127.0.0.1"]')


def _proxies_wide(patient: Patient) -> Iterator[Advice]:
    for text in patient.config.server.trusted_proxies:
        if _is_wide(text):
            detail = f"trusted_proxies has {text}: anybody may say that they are somebody else"
            yield Advice("server.proxies_wide", detail, "name the addresses of your proxies alone", serious=True)


def _listens_to_all(patient: Patient) -> Iterator[Advice]:
    host, _ = parse_listen(patient.config.server.listen)
    if patient.config.server.secure and not is_loopback(host) and not patient.config.server.trusted_proxies:
        detail = f"it listens on {host} without TLS, and whoever reaches it there goes round the proxy"
        yield Advice("server.listens_to_all", detail, 'set [server] listen = "127.0.0.1:8080", or let a firewall admit the proxy alone')


def _certificate_header(patient: Patient) -> Iterator[Advice]:
    server = patient.config.server
    if server.certificate_header and not server.trusted_proxies:
        detail = "certificate_header is believed from trusted_proxies alone, and there are none"
        yield Advice("server.certificate_header", detail, "name the proxy in [server] trusted_proxies")


def _operators_wide(patient: Patient) -> Iterator[Advice]:
    operators = patient.config.operators
    if any(_is_wide(text) for text in operators.networks) and not operators.token:
        yield Advice(
            "operators.wide", "anybody may read /metrics and /statusz", "name your own networks, or set [operators] token", serious=True
        )


def _operators_behind_proxy(patient: Patient) -> Iterator[Advice]:
    config = patient.config
    if config.operators.networks and config.server.secure and not config.server.trusted_proxies:
        detail = "a proxy on this machine that adds no forwarding header would lend its address to the world"
        yield Advice("operators.proxy", detail, "name the proxy in [server] trusted_proxies, and let it refuse /metrics and /statusz")


def _idle(patient: Patient) -> Iterator[Advice]:
    session = patient.config.session
    if session.idle > session.absolute:
        yield Advice("session.idle", "a session ends by age before it can end by idleness", "set [session] idle below absolute")


def _long_session(patient: Patient) -> Iterator[Advice]:
    if patient.config.session.absolute > _MONTH * 86400:
        yield Advice("session.long", "a sign-in lasts longer than 30 days (NIST SP 800-63B)", 'set [session] absolute = "12h" or so')


def _tries(patient: Patient) -> Iterator[Advice]:
    if patient.config.login.tries_per_account > 100:
        yield Advice("login.tries", "more than 100 wrong passwords may be tried (S82)", "set [login] tries_per_account = 5")


def _private_calls(patient: Patient) -> Iterator[Advice]:
    if patient.config.server.production and patient.config.outbound.allow_private:
        detail = "vendors' settings may make the server call addresses inside your network"
        yield Advice("outbound.private", detail, "set [outbound] allow_private = false, unless a vendor is in the house")


def _secret_files(patient: Patient) -> Iterator[Advice]:
    raw = tomllib.loads(patient.loaded.path.read_text(encoding="utf-8"))
    for path in _files_named(raw):
        where = patient.loaded.folder / path
        if where.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield Advice("secrets.open", f"the secret's file {path} can be read by everybody here", f"run: chmod 600 {where}", serious=True)


def _config_file(patient: Patient) -> Iterator[Advice]:
    if patient.loaded.path.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        yield Advice("config.writable", "others may change the configuration", f"run: chmod go-w {patient.loaded.path}", serious=True)


def _keys_next(patient: Patient) -> Iterator[Advice]:
    for use in USES:
        if not any(key.state == "next" for key in _ring(patient).of(use).published):
            detail = f"no next key is published for {use}: a change of key would surprise vendors (S38)"
            yield Advice("keys.no_next", detail, f"run: idp keys rotate {use} --publish")


def _keys_ending(patient: Patient) -> Iterator[Advice]:
    now = datetime.now(UTC)
    for use in USES:
        days = (_ring(patient).of(use).current.certificate.not_valid_after_utc - now).days
        if days < 90:
            detail = f"the certificate of the current key for {use} ends in {days} days"
            yield Advice(
                "keys.ending", detail, f"publish the next one now, and tell vendors: idp keys rotate {use} --publish", serious=days < 0
            )


def _keys_small(patient: Patient) -> Iterator[Advice]:
    if patient.config.keys.rsa_bits < _SMALLEST_KEY:
        yield Advice(
            "keys.small", f"new keys have {patient.config.keys.rsa_bits} bits (SDP-MD06)", "set [keys] rsa_bits = 2048", serious=True
        )


def _keys_secret(patient: Patient) -> Iterator[Advice]:
    path = patient.config.keys.folder / "pairwise.secret"
    if path.exists() and path.stat().st_mode & 0o077:
        yield Advice(
            "keys.pairwise", "the secret behind members' identifiers can be read by others", f"run: chmod 600 {path}", serious=True
        )


def _keys_missing(patient: Patient) -> Iterator[Advice]:
    for problem in signing_problems(_clients(patient), _ring(patient)):
        detail, _, fix = problem.partition(". Run: ")
        yield Advice("keys.missing", detail, f"run: {fix}", serious=True)


def _certificate_missing(patient: Patient) -> Iterator[Advice]:
    for client in _clients(patient):
        if client.protocol == "oidc" and client.settings.needs_certificate and not patient.config.server.certificate_header:
            detail = f"{client.id} shows a TLS certificate, and nobody tells us of any"
            fix = "let the proxy ask for certificates, and name its header in [server] certificate_header"
            yield Advice("server.no_certificate_header", detail, fix, serious=True)


def _jsonp_ending(patient: Patient) -> Iterator[Advice]:
    today = datetime.now(UTC).date()
    for client in _clients(patient):
        if client.protocol == "jsonp" and (left := (client.settings.expires - today).days) <= _MONTH:
            when = f"in {left} days" if left >= 0 else f"since {client.settings.expires}"
            here = f"run: idp clients renew {client.id}" if client.source == "store" else f"in [clients.{client.id}.jsonp] put off expires"
            detail = f"the page of {client.id} may not ask by JSONP any more {when} (S99)"
            yield Advice("jsonp.ending", detail, f"ask whether it still needs to; if so, {here}")


def _cookie_readable(patient: Patient) -> Iterator[Advice]:
    for client in _clients(patient):
        if client.protocol == "cookie" and not client.settings.http_only:
            detail = f"scripts can read the cookie of {client.id}, also one that was smuggled into its pages (S78)"
            yield Advice("cookie.readable", detail, f"let its server read it, and take http_only out of [clients.{client.id}.cookie]")


def _store_writes(patient: Patient) -> Iterator[Advice]:
    if patient.parts is not None:
        store, key = patient.parts.store, f"doctor:{new_id()}"
        written = store.put_new("setting", key, {"at": 1}, expires=patient.parts.now() + 60)
        if not written or store.take("setting", key) is None:
            detail = "what was written did not come back"
            yield Advice("store.write", detail, "look at the database's log and at its user's rights", serious=True)


def _store_in_clear(patient: Patient) -> Iterator[Advice]:
    url = patient.config.store.url.reveal()
    hosts = url.removeprefix("mongodb://").rpartition("@")[2].partition("/")[0].split(",")
    local = all(is_loopback(host.rpartition(":")[0] or host) or host.startswith("%2F") for host in hosts)
    if url.startswith("mongodb://") and not local and "tls=true" not in url.lower():
        yield Advice(
            "store.in_clear", "sessions travel to the database without TLS", "add tls=true to the URI, unless that network is yours alone"
        )


def _store_alone(patient: Patient) -> Iterator[Advice]:
    url = patient.config.store.url.reveal()
    if url.startswith("mongodb://") and "replicaSet=" not in url:
        detail = "the URI names no replica set: without one a fail-over loses requests, and writes may be lost"
        yield Advice("store.alone", detail, "add replicaSet=NAME to the URI, and name every member")


def _letters(patient: Patient) -> Iterator[Advice]:
    if patient.parts is not None and len(patient.parts.store.list("letter", limit=_LONG_QUEUE)) == _LONG_QUEUE:
        yield Advice("mail.waiting", f"{_LONG_QUEUE} letters or more wait to be mailed", "look for mail.failed in the log, and at [mail]")


def _open_files(_: Patient) -> Iterator[Advice]:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FILES:
        yield Advice("machine.files", f"only {soft} files may be open (F26)", "set LimitNOFILE=16384 in the unit, or ulimit -n 16384")


def _temporary(_: Patient) -> Iterator[Advice]:
    if not os.access(tempfile.gettempdir(), os.W_OK):
        yield Advice("machine.temporary", "the temporary folder cannot be written", "mount a tmpfs on /tmp", serious=True)


def _workers(patient: Patient) -> Iterator[Advice]:
    cores = os.cpu_count() or 1
    if patient.config.server.workers > 4 * cores:
        detail = f"{patient.config.server.workers} workers share {cores} cores"
        yield Advice("server.workers", detail, f"set [server] workers = {cores}")


CHECKS: tuple[Look, ...] = (
    _https,
    _production,
    _proxies_missing,
    _proxies_wide,
    _listens_to_all,
    _certificate_header,
    _operators_wide,
    _operators_behind_proxy,
    _idle,
    _long_session,
    _tries,
    _private_calls,
    _secret_files,
    _config_file,
    _keys_next,
    _keys_ending,
    _keys_small,
    _keys_secret,
    _keys_missing,
    _certificate_missing,
    _jsonp_ending,
    _cookie_readable,
    _store_writes,
    _store_in_clear,
    _store_alone,
    _letters,
    _open_files,
    _temporary,
    _workers,
)


def _ring(patient: Patient) -> KeyRing:
    return KeyRing(patient.config.keys.folder)


def _clients(patient: Patient) -> Iterable[Client]:
    """Those of the file alone, while the store does not answer."""
    return patient.parts.clients.snapshot().clients.values() if patient.parts else patient.loaded.file_clients()


def _is_wide(text: str) -> bool:
    """More than a /8 of IPv4, or a /16 of IPv6."""
    network = ip_network(text, strict=False)
    return network.prefixlen < (8 if network.version == 4 else 16)


def _files_named(table: Any) -> Iterator[Path]:
    """Every { file = "PATH" } in a TOML tree."""
    if isinstance(table, dict):
        if set(table) == {"file"} and isinstance(table["file"], str):
            yield Path(table["file"])
        for value in table.values():
            yield from _files_named(value)
    elif isinstance(table, list):
        for value in table:
            yield from _files_named(value)
