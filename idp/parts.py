"""build_parts: everything below HTTP, built once, in the order in which the parts need one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from idp.audit import Audit, AuditLog, Listener
from idp.clock import Now, utc_now
from idp.config import Config, Loaded
from idp.directory import Accounts, Directory
from idp.directory.choice import accounts_of, open_directory, ways_of
from idp.directory.door import Ways
from idp.keys import KeyRing
from idp.protocols.cookie.protocol import CookieProtocol
from idp.protocols.jsonp.protocol import JsonpProtocol
from idp.protocols.oidc.protocol import OidcProtocol
from idp.protocols.saml.protocol import SamlProtocol
from idp.protocols.saml.source.federation import Federations
from idp.protocols.saml.source.refresh import Refresher
from idp.protocols.token.protocol import TokenProtocol
from idp.sso.client import Clients
from idp.sso.disclosure import Disclosures
from idp.sso.drift import DriftWatch
from idp.sso.last_signon import LastSignOns
from idp.sso.logout import Logout
from idp.sso.protocol import ClientProtocol
from idp.sso.session import Sessions
from idp.sso.subject import Subjects
from idp.sso.ticket import Tickets
from idp.store import Store
from idp.web.outbound import Outbound


@dataclass(frozen=True)
class Protocols:
    """Every way to ask and to answer."""

    saml: SamlProtocol
    oidc: OidcProtocol
    token: TokenProtocol
    cookie: CookieProtocol
    jsonp: JsonpProtocol

    def by_name(self) -> dict[str, ClientProtocol]:
        return {each.name: each for each in (self.saml, self.oidc, self.token, self.cookie, self.jsonp)}


@dataclass(frozen=True)
class Parts:
    """Everything below HTTP: what the server and the operator's commands both need."""

    config: Config
    store: Store
    keys: KeyRing
    directory: Directory
    accounts: Accounts | None
    ways: Ways
    clients: Clients
    sessions: Sessions
    subjects: Subjects
    drift: DriftWatch
    tickets: Tickets
    protocols: Protocols
    logout: Logout
    outbound: Outbound
    refresher: Refresher
    audit: Audit
    now: Now
    last_signons: LastSignOns
    disclosures: Disclosures


def build_parts(
    loaded: Loaded, store: Store, *, audit: Audit | None = None, now: Now = utc_now, listeners: Sequence[Listener] = ()
) -> Parts:
    """The parts, in the order in which they need one another."""
    config = loaded.config
    url = config.server.url
    keys = KeyRing(config.keys.folder, retired_life=config.keys.retired_life, now=now)
    last_signons = LastSignOns(store, now=now)
    disclosures = Disclosures(store, session_life=config.session.absolute, now=now)
    audit = audit or AuditLog(key=lambda: audit_key(keys), now=now, listeners=(last_signons.hear, disclosures.hear, *listeners))
    directory = open_directory(config.directory, store=store, now=now)
    outbound = Outbound(config.outbound, audit=audit)
    federations = Federations(config.saml, store, fetch=outbound.download, audit=audit, now=now)
    clients = Clients(loaded.file_clients(), store=store, read=loaded.read_client, audit=audit, elsewhere=federations.client)
    refresher = Refresher(config.saml, clients=clients, store=store, fetch=outbound.download, audit=audit, now=now)
    sessions = Sessions(store, config.session, now=now)
    subjects = Subjects(
        directory,
        store,
        config.freshness,
        audit=audit,
        now=now,
        gone=lambda subject_id: logout.end_all_of(subject_id, reason="subject_gone"),  # it is made below, long before anybody is gone
    )
    drift = DriftWatch(directory, store, every=config.freshness.queries, audit=audit, now=now)
    tickets = Tickets(store, sessions, kind="ticket", life=30, now=now)
    codes = Tickets(store, sessions, kind="code", life=60, now=now)
    protocols = Protocols(
        saml=SamlProtocol(
            config.saml,
            url=url,
            clients=clients,
            sessions=sessions,
            keys=keys.of("saml"),
            pairwise=keys.pairwise,
            store=store,
            audit=audit,
            now=now,
            find_subject=lambda subject_id, max_age: subjects.current(subject_id, max_age=max_age),  # which is built below
            federations=federations,
        ),
        oidc=OidcProtocol(
            url,
            clients=clients,
            keys=keys,
            store=store,
            sessions=sessions,
            codes=codes,
            subjects=subjects,
            gone=lambda subject_id: logout.end_all_of(subject_id, reason="subject_gone"),  # it is made below
            fetch=outbound.get,
            audit=audit,
            now=now,
            server=config.oidc,
            certificates=bool(config.server.certificate_header),
        ),
        token=TokenProtocol(url=url, clients=clients, keys=keys, tickets=tickets, now=now),
        cookie=CookieProtocol(url=url, clients=clients, keys=keys, tickets=tickets, now=now),
        jsonp=JsonpProtocol(url=url, clients=clients, keys=keys, tickets=tickets, now=now),
    )
    ways = ways_of(directory, config.directory)
    logout = Logout(
        sessions=sessions,
        protocols=protocols.by_name(),
        messenger=outbound,
        store=store,
        audit=audit,
        now=now,
        url=url,
        exit_of=ways.exit_of,
        knows=clients.has,
    )
    accounts = accounts_of(directory)
    return Parts(
        config, store, keys, directory, accounts, ways, clients, sessions, subjects, drift, tickets, protocols, logout, outbound,
        refresher, audit, now, last_signons, disclosures
    )  # fmt: skip


def audit_key(keys: KeyRing) -> bytes:
    """What seals the audit log; it is made of the secret that is backed up with the keys."""
    return keys.pairwise("audit", "chain").encode()
