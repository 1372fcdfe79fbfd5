"""create_app: builds every part once and wires them, as one visible list."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path

from flask import Flask, Response

from idp.audit import Audit, AuditLog, Listener
from idp.clock import Now, utc_now
from idp.config import Config, Loaded, load
from idp.directory import Accounts, Directory
from idp.directory.choice import accounts_of, open_directory, ways_of
from idp.directory.door import Ways
from idp.errors import ConfigError
from idp.keys import USES, KeyRing
from idp.log import log_as_json
from idp.protocols.cookie.protocol import CookieProtocol
from idp.protocols.cookie.views import cookie_pages
from idp.protocols.fedcm.protocol import FedcmProtocol
from idp.protocols.fedcm.reader import oidc_reader, script_reader, token_reader
from idp.protocols.fedcm.views import fedcm_pages
from idp.protocols.jsonp.protocol import JsonpProtocol
from idp.protocols.jsonp.views import jsonp_pages
from idp.protocols.oidc.grant.views import grant_pages
from idp.protocols.oidc.protocol import OidcProtocol
from idp.protocols.oidc.registration.views import registration_pages
from idp.protocols.oidc.views import oidc_pages
from idp.protocols.saml.protocol import SamlProtocol
from idp.protocols.saml.source.duty import MetadataDuty
from idp.protocols.saml.source.expiry import Herald
from idp.protocols.saml.source.federation import Federations
from idp.protocols.saml.source.refresh import Refresher
from idp.protocols.saml.views import saml_pages
from idp.protocols.token.protocol import TokenProtocol
from idp.protocols.token.views import token_pages
from idp.sso.account import AccountDesk
from idp.sso.account_letter import AccountLetters
from idp.sso.client import Clients
from idp.sso.disclosure import Disclosures
from idp.sso.drift import DriftWatch
from idp.sso.entrance import Entrances
from idp.sso.expiry import Expiry
from idp.sso.grace import Grace
from idp.sso.last_signon import LastSignOns
from idp.sso.letter import LetterQueue
from idp.sso.login import LoginDesk, LoginSettings
from idp.sso.logout import Logout
from idp.sso.member import MemberDesk
from idp.sso.password import PasswordRules
from idp.sso.protocol import ClientProtocol
from idp.sso.session import Sessions
from idp.sso.sign_in_log import SignInLog
from idp.sso.signon import SignOn
from idp.sso.subject import Subjects
from idp.sso.ticket import Tickets
from idp.store import Store
from idp.store.choice import open_store
from idp.web.account.link import with_way_back
from idp.web.account.views import account_pages, change_password_redirect
from idp.web.address import Proxies
from idp.web.admission import Admission
from idp.web.ats.views import ats_pages
from idp.web.browser import Browser
from idp.web.check import check_pages
from idp.web.consent import consent_pages
from idp.web.crowd import Crowd
from idp.web.door import Doorkeeper, door_pages
from idp.web.gateway import FEDCM_LOGIN, Gateway
from idp.web.home import health_pages, home_pages
from idp.web.login import login_pages
from idp.web.login_page import LoginPage
from idp.web.logout import logout_pages
from idp.web.mail import Mailer, mail_renderer
from idp.web.metric import FOLDER_VARIABLE, Metrics
from idp.web.operator import OperatorDoor, operator_pages
from idp.web.outbound import Outbound
from idp.web.page import protect
from idp.web.profile_desk import ProfileDesk
from idp.web.refusal import install
from idp.web.service import service_pages
from idp.web.status import StatusReader
from idp.web.trace import trace
from idp.web.vendors.views import VendorProtocol

STORE_VARIABLE = "IDP_RUNNING_STORE"
"""Where `idp run` tells its workers which store was chosen; the value is a URL and may hold a password."""
CONFIG_VARIABLE = "IDP_CONFIG"
LETTERS = "idp.letters"
"""Under which name an application has its LetterQueue among its extensions."""
_BIGGEST_REQUEST = 512 * 1024
_PR_SET_PDEATHSIG = 1  # prctl(2)
_SWEEP_EVERY = 60  # seconds


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
        knows=lambda client_id: clients.get(client_id) is not None,
    )
    accounts = accounts_of(directory)
    return Parts(
        config, store, keys, directory, accounts, ways, clients, sessions, subjects, drift, tickets, protocols, logout, outbound,
        refresher, audit, now, last_signons, disclosures
    )  # fmt: skip


def audit_key(keys: KeyRing) -> bytes:
    """What seals the audit log; it is made of the secret that is backed up with the keys."""
    return keys.pairwise("audit", "chain").encode()


def create_app(loaded: Loaded, store: Store, *, audit: Audit | None = None, now: Now = utc_now) -> Flask:
    """The WSGI application."""
    return create_app_of(build_parts(loaded, store, audit=audit, now=now))


def create_app_of(parts: Parts, metrics: Metrics | None = None) -> Flask:
    """The WSGI application over parts that are built already."""
    server = parts.config.server
    app = Flask("idp.web", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = _BIGGEST_REQUEST
    app.jinja_env.globals["server"] = server
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    signon = SignOn(
        clients=parts.clients,
        sessions=parts.sessions,
        subjects=parts.subjects,
        protocols=parts.protocols.by_name(),
        logout=parts.logout,
        store=parts.store,
        audit=parts.audit,
        now=parts.now,
    )
    browser = Browser(parts.sessions, secure=server.secure)
    sign_ins = SignInLog(parts.store, now=parts.now)
    gateway = Gateway(
        server, browser=browser, signon=signon, logout=parts.logout, clients=parts.clients, audit=parts.audit, sign_ins=sign_ins
    )
    desk = LoginDesk(
        parts.config.login,
        grace=Grace(parts.config.grace, parts.store, now=parts.now),
        directory=parts.directory,
        sessions=parts.sessions,
        subjects=parts.subjects,
        logout=parts.logout,
        store=parts.store,
        audit=parts.audit,
        now=parts.now,
        passwords=parts.ways.form,
    )
    proxies = Proxies(server.trusted_proxies)
    metrics = metrics or Metrics()
    trace(app, proxies)
    metrics.watch(app)
    Crowd().watch(app)
    app.register_blueprint(operator_pages(OperatorDoor(parts.config.operators, proxies), metrics, _status_reader(parts).read))
    install(app, parts.audit)
    app.register_blueprint(home_pages(gateway, _member_desk(parts, signon, sign_ins)))
    app.register_blueprint(health_pages(parts.store, parts.keys, parts.drift.causes))
    login = _with_hosted_pages(parts.config)
    keeper = Doorkeeper(gateway, desk, LoginPage(gateway, login, parts.ways), Entrances(parts.store, now=parts.now))
    app.register_blueprint(login_pages(gateway, desk, login, keeper))
    app.register_blueprint(door_pages(keeper))
    if parts.config.account.mode == "hosted":
        app.register_blueprint(account_pages(gateway, _account_desk(app, parts, desk), create=parts.config.account.create))
    if login.change_password_url:
        linked = with_way_back(login, f"{server.url}/")
        app.jinja_env.globals["change_password_url"] = linked.change_password_url
        app.register_blueprint(change_password_redirect(linked))
    app.register_blueprint(logout_pages(gateway, parts.ways.exits))
    app.register_blueprint(consent_pages(gateway))
    app.register_blueprint(saml_pages(gateway, parts.protocols.saml, desk))
    app.register_blueprint(oidc_pages(gateway, parts.protocols.oidc))
    app.register_blueprint(grant_pages(gateway, parts.protocols.oidc))
    if parts.config.oidc.registration:
        app.register_blueprint(registration_pages(gateway, parts.protocols.oidc))
    app.register_blueprint(token_pages(gateway, parts.protocols.token))
    app.register_blueprint(cookie_pages(gateway, parts.protocols.cookie))
    app.register_blueprint(jsonp_pages(gateway, parts.protocols.jsonp))
    app.register_blueprint(fedcm_pages(gateway, _fedcm(parts)))
    app.register_blueprint(check_pages(gateway))
    admission = Admission(gateway, parts.config.service, store=parts.store, now=parts.now)
    desk_of_profiles = _profile_desk(parts)
    app.register_blueprint(service_pages(gateway, admission, desk_of_profiles))
    simple: Mapping[str, VendorProtocol] = {
        "token": parts.protocols.token,
        "cookie": parts.protocols.cookie,
        "jsonp": parts.protocols.jsonp,
    }
    app.register_blueprint(ats_pages(gateway, admission, desk_of_profiles, simple))

    @app.after_request
    def finish(response: Response) -> Response:
        browser.apply(response)
        return protect(response, secure=server.secure)

    return app


def _fedcm(parts: Parts) -> FedcmProtocol:
    """Over the protocols whose answer a browser can hand to a page (config.FEDCM_PROTOCOLS)."""
    protocols, server = parts.protocols, parts.config.server
    readers = {
        "token": token_reader(protocols.token),
        "jsonp": script_reader(protocols.jsonp),
        "oidc": oidc_reader(protocols.oidc.read),
    }
    return FedcmProtocol(
        url=server.url,
        name=server.name,
        login_path=FEDCM_LOGIN,
        clients=parts.clients,
        subjects=parts.subjects,
        keys=parts.keys,
        readers=readers,
    )


def _status_reader(parts: Parts) -> StatusReader:
    def metadata_looked() -> dict[str, int]:
        notes = {source.key: parts.refresher.note(source).looked for source in parts.refresher.sources()}
        return {key.partition(":")[2]: looked for key, looked in notes.items() if looked and key.startswith(("client:", "member:"))}

    return StatusReader(
        store=parts.store,
        keys={use: parts.keys.of(use) for use in USES},
        clients=parts.clients,
        drift=parts.drift,
        last_signons=parts.last_signons,
        metadata_looked=metadata_looked,
        now=parts.now,
    )


def _member_desk(parts: Parts, signon: SignOn, sign_ins: SignInLog) -> MemberDesk:
    return MemberDesk(
        clients=parts.clients,
        protocols=parts.protocols.by_name(),
        subjects=parts.subjects,
        sessions=parts.sessions,
        logout=parts.logout,
        consents=signon.consents,
        disclosures=parts.disclosures,
        sign_ins=sign_ins,
        audit=parts.audit,
        now=parts.now,
    )


def _profile_desk(parts: Parts) -> ProfileDesk:
    return ProfileDesk(
        tickets=parts.tickets,
        sessions=parts.sessions,
        subjects=parts.subjects,
        logout=parts.logout,
        store=parts.store,
        audit=parts.audit,
        now=parts.now,
    )


def _with_hosted_pages(config: Config) -> LoginSettings:
    """[login] with our own pages where it has no address of others."""
    if config.account.mode != "hosted":
        return config.login
    own = {
        "forgot_password_url": "/account/forgot-password",
        "forgot_username_url": "/account/forgot-username",
        "create_account_url": "/account/create" if config.account.create else "",
        "change_password_url": "/account/password",
    }
    return config.login.model_copy(update={name: getattr(config.login, name) or path for name, path in own.items()})


def _account_desk(app: Flask, parts: Parts, login: LoginDesk) -> AccountDesk:
    """Raises ConfigError when the directory cannot do it."""
    config = parts.config
    if parts.accounts is None:
        raise ConfigError([f'account.mode = "hosted" wants a directory that can set passwords: "{config.directory.kind}" cannot'])
    return AccountDesk(
        config.account,
        rules=PasswordRules(config.account.shortest_password, config.directory.password_rule_text),
        house=config.server.name,
        accounts=parts.accounts,
        directory=parts.directory,
        login=login,
        sessions=parts.sessions,
        logout=parts.logout,
        outbox=_letter_queue(app, parts, parts.accounts),
        store=parts.store,
        audit=parts.audit,
        now=parts.now,
    )


def _letter_queue(app: Flask, parts: Parts, accounts: Accounts) -> LetterQueue:
    config, life = parts.config, parts.config.account.link_life
    writer = AccountLetters(accounts, parts.store, url=config.server.url, link_life=life, now=parts.now)
    mailer = Mailer(config.mail, house=config.server.name, render=mail_renderer(app.jinja_env, config.mail.templates), now=parts.now)
    queue = LetterQueue(parts.store, write=writer.write, send=mailer.send, life=life, audit=parts.audit, now=parts.now)
    app.extensions[LETTERS] = queue
    return queue


def worker_app() -> Flask:
    """The application of one worker process, told by its environment which configuration and store to use."""
    die_with_parent()
    log_as_json()
    loaded = load(Path(os.environ[CONFIG_VARIABLE]))
    store = open_store(os.environ[STORE_VARIABLE], timeout=loaded.config.store.timeout)
    figures = os.environ.get(FOLDER_VARIABLE)
    metrics = Metrics(Path(figures) if figures else None)
    parts = build_parts(loaded, store, listeners=(metrics.hear,))
    if isinstance(parts.audit, AuditLog):
        Finalize(None, parts.audit.close, exitpriority=1)  # a worker is a child of multiprocessing, which runs no atexit
    threading.Thread(target=_attend, args=(parts,), daemon=True).start()
    parts.logout.begin()
    app = create_app_of(parts, metrics)
    if LETTERS in app.extensions:
        app.extensions[LETTERS].begin()  # there may be some that a killed worker has left
    return app


def _attend(parts: Parts) -> None:
    """What is to be done every minute. The sweep only frees room: what has expired is gone without it."""
    herald = Herald(parts.store, audit=parts.audit, now=parts.now)
    expiry = Expiry(parts.sessions, parts.logout, parts.store, now=parts.now)
    metadata = MetadataDuty(parts.refresher, herald, parts.protocols.saml.known)
    while True:
        for duty in (parts.drift.look, metadata.look, expiry.look, parts.store.sweep):
            try:
                duty()
            except Exception as error:  # one duty that fails keeps no other from being done
                parts.audit.record("server.duty_failed", cause=getattr(error, "cause", type(error).__name__))
        time.sleep(_SWEEP_EVERY)


def die_with_parent() -> None:
    """A worker whose server was killed would keep the port, without the embedded store: on Linux it goes, too (F2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
