"""create_app: builds every part once and wires them, as one visible list."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response

from idp.audit import Audit, AuditLog
from idp.clock import Now, utc_now
from idp.config import Config, Loaded, load
from idp.directory import Accounts, Directory
from idp.directory.choice import accounts_of, open_directory
from idp.errors import ConfigError
from idp.keys import KeyRing
from idp.protocols.cookie.protocol import CookieProtocol
from idp.protocols.cookie.views import cookie_pages
from idp.protocols.jsonp.protocol import JsonpProtocol
from idp.protocols.jsonp.views import jsonp_pages
from idp.protocols.oidc.protocol import OidcProtocol
from idp.protocols.oidc.views import oidc_pages
from idp.protocols.saml.protocol import SamlProtocol
from idp.protocols.saml.views import saml_pages
from idp.protocols.token.protocol import TokenProtocol
from idp.protocols.token.views import token_pages
from idp.sso.account import AccountDesk
from idp.sso.client import Clients
from idp.sso.grace import Grace
from idp.sso.login import LoginDesk, LoginSettings
from idp.sso.logout import Logout
from idp.sso.password import PasswordRules
from idp.sso.protocol import ClientProtocol
from idp.sso.session import Sessions
from idp.sso.signon import SignOn
from idp.sso.subject import Subjects
from idp.sso.ticket import Tickets
from idp.store import Store, StoreUnavailable
from idp.store.choice import open_store
from idp.web.account.views import account_pages, change_password_redirect
from idp.web.browser import Browser
from idp.web.gateway import Gateway
from idp.web.home import health_pages, home_pages
from idp.web.login import login_pages
from idp.web.logout import logout_pages
from idp.web.mail import Mailer
from idp.web.outbound import Outbound
from idp.web.page import protect
from idp.web.refusal import install
from idp.web.service import service_pages

STORE_VARIABLE = "IDP_RUNNING_STORE"
"""Where `idp run` tells its workers which store was chosen; the value is a URL and may hold a password."""
CONFIG_VARIABLE = "IDP_CONFIG"
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
    clients: Clients
    sessions: Sessions
    subjects: Subjects
    tickets: Tickets
    protocols: Protocols
    logout: Logout
    outbound: Outbound
    audit: Audit
    now: Now


def build_parts(loaded: Loaded, store: Store, *, audit: Audit | None = None, now: Now = utc_now) -> Parts:
    """The parts, in the order in which they need one another."""
    config = loaded.config
    url = config.server.url
    audit = audit or AuditLog(now=now)
    keys = KeyRing(config.keys.folder)
    directory = open_directory(config.directory, store=store, now=now)
    clients = Clients(loaded.file_clients(), store=store, read=loaded.read_client, audit=audit)
    sessions = Sessions(store, config.session, now=now)
    subjects = Subjects(
        directory,
        store,
        config.freshness,
        audit=audit,
        now=now,
        gone=lambda subject_id: logout.end_all_of(subject_id, reason="subject_gone"),  # it is made below, long before anybody is gone
    )
    tickets = Tickets(store, sessions, kind="ticket", life=30, now=now)
    codes = Tickets(store, sessions, kind="code", life=60, now=now)
    outbound = Outbound(config.outbound, audit=audit)
    protocols = Protocols(
        saml=SamlProtocol(
            config.saml,
            url=url,
            clients=clients,
            sessions=sessions,
            keys=keys,
            pairwise=keys.pairwise,
            store=store,
            audit=audit,
            now=now,
            find_subject=lambda subject_id: subjects.current(subject_id),  # which is built below
        ),
        oidc=OidcProtocol(url, clients=clients, keys=keys, store=store, sessions=sessions, codes=codes, now=now),
        token=TokenProtocol(url=url, clients=clients, keys=keys, tickets=tickets, now=now),
        cookie=CookieProtocol(url=url, clients=clients, keys=keys, tickets=tickets, now=now),
        jsonp=JsonpProtocol(url=url, clients=clients, keys=keys, tickets=tickets, now=now),
    )
    logout = Logout(sessions=sessions, protocols=protocols.by_name(), messenger=outbound, store=store, audit=audit, now=now)
    accounts = accounts_of(directory)
    return Parts(
        config, store, keys, directory, accounts, clients, sessions, subjects, tickets, protocols, logout, outbound, audit, now
    )  # fmt: skip


def create_app(loaded: Loaded, store: Store, *, audit: Audit | None = None, now: Now = utc_now) -> Flask:
    """The WSGI application."""
    return create_app_of(build_parts(loaded, store, audit=audit, now=now))


def create_app_of(parts: Parts) -> Flask:
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
    gateway = Gateway(server, browser=browser, signon=signon, logout=parts.logout, clients=parts.clients, audit=parts.audit)
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
    )
    install(app, parts.audit)
    app.register_blueprint(home_pages(gateway))
    app.register_blueprint(health_pages(parts.store, parts.keys))
    login = _with_hosted_pages(parts.config)
    app.register_blueprint(login_pages(gateway, desk, login))
    if parts.config.account.mode == "hosted":
        app.register_blueprint(account_pages(gateway, _account_desk(app, parts, desk), create=parts.config.account.create))
    if login.change_password_url:
        app.jinja_env.globals["change_password_url"] = login.change_password_url
        app.register_blueprint(change_password_redirect(login))
    app.register_blueprint(logout_pages(gateway))
    app.register_blueprint(saml_pages(gateway, parts.protocols.saml, desk))
    app.register_blueprint(oidc_pages(gateway, parts.protocols.oidc))
    app.register_blueprint(token_pages(gateway, parts.protocols.token))
    app.register_blueprint(cookie_pages(gateway, parts.protocols.cookie))
    app.register_blueprint(jsonp_pages(gateway, parts.protocols.jsonp))
    app.register_blueprint(
        service_pages(gateway, parts.config.service, tickets=parts.tickets, subjects=parts.subjects, store=parts.store, now=parts.now)
    )

    @app.after_request
    def finish(response: Response) -> Response:
        browser.apply(response)
        return protect(response, secure=server.secure)

    return app


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


def _renderer(app: Flask) -> Callable[[str, Mapping[str, Any]], str]:
    """Templates outside a request, for mail."""
    return lambda template, values: app.jinja_env.get_template(template).render(values)


def _account_desk(app: Flask, parts: Parts, login: LoginDesk) -> AccountDesk:
    """Raises ConfigError when the directory cannot do it."""
    config = parts.config
    if parts.accounts is None:
        raise ConfigError([f'account.mode = "hosted" wants a directory that can set passwords: "{config.directory.kind}" cannot'])
    return AccountDesk(
        config.account,
        url=config.server.url,
        rules=PasswordRules(config.account.shortest_password, config.directory.password_rule_text),
        house=config.server.name,
        accounts=parts.accounts,
        directory=parts.directory,
        login=login,
        sessions=parts.sessions,
        logout=parts.logout,
        outbox=Mailer(config.mail, house=config.server.name, render=_renderer(app), audit=parts.audit, now=parts.now),
        store=parts.store,
        audit=parts.audit,
        now=parts.now,
    )


def worker_app() -> Flask:
    """The application of one worker process, told by its environment which configuration and store to use."""
    _die_with_parent()
    loaded = load(Path(os.environ[CONFIG_VARIABLE]))
    store = open_store(os.environ[STORE_VARIABLE], timeout=loaded.config.store.timeout)
    threading.Thread(target=_sweep, args=(store,), daemon=True).start()
    return create_app(loaded, store)


def _sweep(store: Store) -> None:
    """Clears what has expired from a store that does not do it by itself. What is gone is gone without it: this only frees the room."""
    while True:
        time.sleep(_SWEEP_EVERY)
        with contextlib.suppress(StoreUnavailable):
            store.sweep()


def _die_with_parent() -> None:
    """A worker whose server was killed would keep the port, without the embedded store: on Linux it goes, too (F2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
