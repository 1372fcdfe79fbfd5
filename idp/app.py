"""create_app: the web application over the parts, wired as one visible list."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask, Response

from idp.audit import Audit
from idp.clock import Now, utc_now
from idp.config import Config, Loaded
from idp.directory import Accounts
from idp.errors import ConfigError
from idp.keys import USES
from idp.keys.calendar import changes
from idp.keys.folder import read_ring
from idp.parts import Parts, build_parts
from idp.protocols.cookie.views import cookie_pages
from idp.protocols.fedcm.protocol import FedcmProtocol
from idp.protocols.fedcm.reader import oidc_reader, script_reader, token_reader
from idp.protocols.fedcm.views import fedcm_pages
from idp.protocols.jsonp.views import jsonp_pages
from idp.protocols.oidc.grant.views import grant_pages
from idp.protocols.oidc.registration.views import registration_pages
from idp.protocols.oidc.views import oidc_pages
from idp.protocols.saml.views import saml_pages
from idp.protocols.token.views import token_pages
from idp.sso.account import AccountDesk
from idp.sso.account_letter import AccountLetters
from idp.sso.entrance import Entrances
from idp.sso.grace import Grace
from idp.sso.letter import LetterQueue
from idp.sso.login import LoginDesk, LoginSettings
from idp.sso.member import MemberDesk
from idp.sso.password import PasswordRules
from idp.sso.sign_in_log import SignInLog
from idp.sso.signon import SignOn
from idp.store import Store
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
from idp.web.metric import Metrics
from idp.web.operator import OperatorDoor, operator_pages
from idp.web.page import protect
from idp.web.profile_desk import ProfileDesk
from idp.web.refusal import install
from idp.web.service import service_pages
from idp.web.status import StatusReader
from idp.web.trace import trace
from idp.web.vendors.views import VendorProtocol

LETTERS = "idp.letters"
"""Under which name an application has its LetterQueue among its extensions."""
_BIGGEST_REQUEST = 512 * 1024
_PATIENCE = 1000  # milliseconds that the sign-in page waits for the store; more, and it says that there is trouble


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
    app.register_blueprint(login_pages(gateway, desk, login, keeper, try_store=lambda: parts.store.ping(patience=_PATIENCE)))
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

    keys = parts.config.keys
    return StatusReader(
        store=parts.store,
        keys={use: parts.keys.of(use) for use in USES},
        changes=lambda: [(use, each) for use in keys.calendar for each in changes(read_ring(keys.folder), use, keys)],
        directory=parts.directory,
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
