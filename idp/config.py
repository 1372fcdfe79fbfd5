"""idp.toml: its types, and how it is read. The environment goes over the file; every error is reported at once, with its place.

Each part is handed its own settings; nobody below this file sees the whole.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from idp.bridges import bridge_table
from idp.directory.choice import DirectorySettings
from idp.errors import ConfigError, IdpError
from idp.keys import KeySettings
from idp.protocols.cookie.settings import CookieSettings
from idp.protocols.fedcm.settings import FedcmSettings
from idp.protocols.jsonp.settings import JsonpSettings
from idp.protocols.oidc.settings import OidcServerSettings, OidcSettings
from idp.protocols.saml.settings import SamlServerSettings, SamlSettings
from idp.protocols.token.settings import TokenSettings
from idp.secret import digest
from idp.settings import Duration, SecretSetting, Settings
from idp.sso.account import AccountSettings
from idp.sso.client import Client
from idp.sso.grace import GraceSettings
from idp.sso.login import LoginSettings
from idp.sso.release import read_release
from idp.sso.session import SessionSettings
from idp.sso.settings import FORMS, EntrySettings, ReleaseSetting
from idp.sso.subject import FreshnessSettings
from idp.store.choice import StoreSettings
from idp.web.admission import ServiceSettings
from idp.web.mail import MailSettings
from idp.web.settings import OperatorSettings, OutboundSettings, ServerSettings, TelemetrySettings

PROTOCOLS = ("saml", "oidc", "token", "cookie", "jsonp")
FEDCM_PROTOCOLS = ("oidc", "token", "jsonp")
"""Those whose answer a browser can hand to a page."""
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")


class ClientTable(Settings):
    """[clients.ID]: one application. Exactly one of the sub-tables saml, oidc, token, cookie, jsonp says how it asks."""

    name: str = ""
    """The application's name, as members read it; the id, if it is not given."""
    url: str = ""
    """Where the application begins: members' start page links to it."""
    bridge: str = ""
    """A vendor product whose usual settings stand under the ones given here."""
    bridge_values: dict[str, str] = Field(default_factory=dict)
    """What the bridge asks for, such as { host = "learn.example.org" }; `idp bridges show NAME` says what."""
    release: ReleaseSetting | None = None
    """What it may see of a member: names, or `ours=theirs`, or a table. Not given: username, email and the names. Empty: nothing.
    In a table, theirs = { from = "paid_through", rule = "after_today", type = "boolean" } makes an attribute; required = true insists."""
    entry: EntrySettings = EntrySettings()
    """Which members may enter; all, if nothing is given."""
    max_age: Duration | None = None
    """How old a member's data may be for this application; older ones are asked for first, however long that takes."""
    grace: bool = False
    """Whether members may enter whose password the membership system could not be asked about; see [grace]."""
    consent: Literal["association", "ask"] = "association"
    """"association": by registering the application you agreed for your members. "ask": each member is asked once, and again when it
    wants more; they take it back at /consent."""
    secret: SecretSetting | None = None
    """The client's secret, by reference."""
    old_secret: SecretSetting | None = None
    """Its secret until now, which is taken beside the new one while the vendor changes over."""
    secret_sha256: tuple[str, ...] = ()
    """SHA-256 of the client's secrets, in hex; two at a time let a vendor change over."""
    saml: SamlSettings | None = None
    """A SAML service provider."""
    oidc: OidcSettings | None = None
    """An OpenID Connect or OAuth 2.0 client."""
    token: TokenSettings | None = None
    """A vendor that takes a token on its return URL."""
    cookie: CookieSettings | None = None
    """A vendor that reads a cookie on a domain it shares with us."""
    jsonp: JsonpSettings | None = None
    """A page that asks by a script whether somebody is signed in."""
    fedcm: FedcmSettings | None = None
    """Beside token, jsonp or oidc: the application's pages may ask by the browser's own hand (FedCM)."""

    @model_validator(mode="after")
    def _one_protocol(self) -> ClientTable:
        given = [protocol for protocol in PROTOCOLS if getattr(self, protocol) is not None]
        if len(given) != 1:
            raise ValueError(f"has {' and '.join(given) or 'no protocol'}: give exactly one of the tables {', '.join(PROTOCOLS)}")
        if self.fedcm and given[0] not in FEDCM_PROTOCOLS:
            raise ValueError(f"fedcm goes with {', '.join(FEDCM_PROTOCOLS)}, not with {given[0]}")
        if self.oidc and self.oidc.needs_plain_secret and not self.secret:
            raise ValueError("client_secret_jwt needs the secret itself, by reference: secret = { env = ... }")
        if self.oidc and self.oidc.needs_secret and not (self.secret or self.secret_sha256):
            raise ValueError("needs a secret, with which its server shows who it is; or oidc.public = true, if it can keep none")
        return self

    @field_validator("secret_sha256")
    @classmethod
    def _are_digests(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in value):
            raise ValueError("a SHA-256 is 64 hexadecimal digits in lower case")
        return value


class Config(Settings):
    """The whole of idp.toml."""

    server: ServerSettings
    """Who we are to the outside."""
    store: StoreSettings = StoreSettings()
    """Where sessions live."""
    keys: KeySettings = KeySettings()
    """Signing keys."""
    directory: DirectorySettings
    """Who people are."""
    session: SessionSettings = SessionSettings()
    """How long a sign-in lasts."""
    login: LoginSettings = LoginSettings()
    """The sign-in page."""
    grace: GraceSettings = GraceSettings()
    """Signing in while the membership system is away."""
    account: AccountSettings = AccountSettings()
    """Pages where members help themselves."""
    mail: MailSettings = MailSettings()
    """The server that sends our mail."""
    freshness: FreshnessSettings = FreshnessSettings()
    """How old a member's data may be."""
    outbound: OutboundSettings = OutboundSettings()
    """Calls to vendors."""
    operators: OperatorSettings = OperatorSettings()
    """Who may read figures and state."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Whom to tell how long requests take: an OpenTelemetry collector."""
    service: ServiceSettings = ServiceSettings()
    """The web service at which vendors' servers redeem tokens."""
    saml: SamlServerSettings = SamlServerSettings()
    """Ourselves as a SAML entity."""
    oidc: OidcServerSettings = OidcServerSettings()
    """Ourselves as an OpenID Connect provider."""
    clients: dict[str, ClientTable] = Field(default_factory=dict)
    """The applications."""

    @model_validator(mode="after")
    def _fit_for_production(self) -> Config:
        if self.server.production and not self.server.secure:
            raise ValueError("server.production wants an https URL")
        if self.account.mode == "hosted" and not (self.mail.host and "@" in self.mail.sender):
            raise ValueError('account.mode = "hosted" sends mail: give mail.host and mail.sender')
        if self.server.production and self.directory.for_trials:
            raise ValueError('directory.kind = "people" is for trials: not with server.production')
        return self


@dataclass(frozen=True)
class Loaded:
    """A configuration that was read, the folder from which its relative paths count, and the clients' tables as they were written."""

    config: Config
    folder: Path
    path: Path
    tables: Mapping[str, Any]

    def read_client(self, client_id: str, table: Mapping[str, Any]) -> Client:
        """A client from its table, as it stands in idp.toml or in the store. Raises ConfigError."""
        if not _CLIENT_ID.fullmatch(client_id):
            raise ConfigError(
                [f"clients.{client_id}: an id has letters, digits and . _ ~ - and begins with a letter or digit, at most 128"]
            )
        merged = _with_bridge(dict(table))
        try:
            parsed = ClientTable.model_validate(merged, context={"folder": self.folder})
        except ValidationError as error:
            raise ConfigError([_sentence(each, ClientTable, {}, ("clients", client_id)) for each in error.errors()]) from None
        return make_client(client_id, parsed, table, source="store")

    def file_clients(self) -> list[Client]:
        return [make_client(client_id, table, self.tables[client_id], source="file") for client_id, table in self.config.clients.items()]


def make_client(client_id: str, table: ClientTable, raw: Mapping[str, Any], *, source: str) -> Client:
    protocol = next(protocol for protocol in PROTOCOLS if getattr(table, protocol) is not None)
    own = tuple(secret for secret in (table.secret, table.old_secret) if secret)
    return Client(
        id=client_id,
        name=table.name or client_id,
        protocol=protocol,
        settings=getattr(table, protocol),
        release=read_release(table.release),
        secrets=(*(digest(secret.reveal()) for secret in own), *table.secret_sha256),
        shared=own,
        url=table.url,
        source=source,
        table=raw,
        entry=table.entry,
        max_age=table.max_age,
        grace=table.grace,
        asks_consent=table.consent == "ask",
        fedcm=table.fedcm,
    )


def find_config(given: str | None) -> Path:
    """The file of `--config`, of IDP_CONFIG, or idp.toml here. Raises ConfigError."""
    path = Path(given or os.environ.get("IDP_CONFIG") or "idp.toml")
    if not path.is_file():
        raise ConfigError([f"there is no configuration file {path}: copy deploy/idp.example.toml there, or name yours with --config FILE"])
    return path


def load(path: Path, environment: Mapping[str, str] | None = None) -> Loaded:
    """Reads and checks everything. Raises ConfigError with all problems, each with its line."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path} cannot be read: {type(error).__name__}"]) from None
    problems = _apply_environment(raw, os.environ if environment is None else environment)
    tables = raw.get("clients", {})
    for name, field in Config.model_fields.items():
        if not field.is_required():
            raw.setdefault(name, {})  # so that the defaults' relative paths count from the file, too
    lines = locate(text)
    folder = path.absolute().parent
    config = None
    try:
        _merge_bridges(raw)
        config = Config.model_validate(raw, context={"folder": folder})
    except ValidationError as error:
        problems += [_sentence(each, Config, lines, ()) for each in error.errors()]
    except IdpError as error:
        problems.append(error.message)
    if config is not None:
        problems += [
            f"{_place(lines, ('clients', name))}clients.{name}: not a good id" for name in config.clients if not _CLIENT_ID.fullmatch(name)
        ]
    if config is None or problems:
        raise ConfigError(problems)
    return Loaded(config, folder, path.absolute(), tables)


def _merge_bridges(raw: dict[str, Any]) -> None:
    clients = raw.get("clients")
    if isinstance(clients, dict):
        raw["clients"] = {name: _with_bridge(table) if isinstance(table, dict) else table for name, table in clients.items()}


def _with_bridge(table: dict[str, Any]) -> dict[str, Any]:
    """The bridge's settings under the client's own."""
    name = table.get("bridge")
    return merge(bridge_table(name, table), table) if isinstance(name, str) and name else table


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merged key by key; what stands above wins."""
    merged = dict(below)
    for key, value in above.items():
        merged[key] = merge(merged[key], value) if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) else value
    return merged


def _apply_environment(raw: dict[str, Any], environment: Mapping[str, str]) -> list[str]:
    """IDP_SESSION_IDLE goes over `[session] idle`. A variable of a known section whose key is unknown is a problem: it was meant."""
    problems = []
    sections = {name: _model_of(field.annotation) for name, field in Config.model_fields.items() if name != "clients"}
    for variable, value in environment.items():
        section, key = _split_variable(variable, sections)
        if not section:
            continue
        model = sections[section]
        if model is None or key not in model.model_fields:
            problems.append(f"environment: {variable} is not a setting{_did_you_mean(key, model, prefix=f'IDP_{section.upper()}_')}")
            continue
        table = raw.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = _environment_value(value)
    return problems


def _split_variable(variable: str, sections: Mapping[str, object]) -> tuple[str, str]:
    for section in sections:
        prefix = f"IDP_{section.upper()}_"
        if variable.startswith(prefix):
            return section, variable.removeprefix(prefix).lower()
    return "", ""


def _environment_value(text: str) -> Any:
    """Lists and tables in TOML's way; everything else as text, which the type then reads."""
    if text[:1] in ("[", "{"):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def locate(text: str) -> dict[tuple[str, ...], int]:
    """The line of every table and key in a TOML text."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"^\s*\[\[?\s*(.+?)\s*\]?\]\s*(#.*)?$", line)
        key = _KEY.match(line)
        if header:
            table = _dotted(header[1])
            lines.setdefault(table, number)
        elif key:
            lines.setdefault((*table, *_dotted(key[1])), number)
    return lines


def _dotted(key: str) -> tuple[str, ...]:
    """`a."b c".d` as its parts."""
    try:
        node: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return (key,)
    parts = []
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        parts.append(name)
    return tuple(parts)


def _sentence(error: ErrorDetails, model: type[BaseModel], lines: Mapping[tuple[str, ...], int], under: tuple[str, ...]) -> str:
    """`line 14: clients.lms.saml.acs is not a setting; did you mean ...`. Never the value: it may be a secret."""
    path = tuple(str(part) for part in error["loc"] if not str(part).startswith(("tuple[", "dict[", "function-")) and part not in FORMS)
    name = ".".join((*under, *path))
    place = _place(lines, path)
    if error["type"] == "extra_forbidden":
        return f"{place}{name} is not a setting{_did_you_mean(path[-1], _model_at(model, path[:-1]))}"
    if error["type"] == "missing":
        return f"{place}{name} is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}{name}: {message}" if name else f"{place}{message}"


def _place(lines: Mapping[tuple[str, ...], int], path: tuple[str, ...]) -> str:
    """The line of the setting, or of the nearest table around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return f"line {lines[path[:length]]}: "
    return ""


def _model_at(model: type[BaseModel], path: tuple[str, ...]) -> type[BaseModel] | None:
    at: type[BaseModel] | None = model
    for part in path:
        if at is None:
            return None
        field = at.model_fields.get(part)
        at = _model_of(field.annotation) if field else at
    return at


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The settings type inside an annotation such as `SamlSettings | None` or `dict[str, ClientTable]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := _model_of(inner):
            return found
    return None


def _did_you_mean(word: str, model: type[BaseModel] | None, *, prefix: str = "") -> str:
    known = list(model.model_fields) if model else []
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {prefix}{close[0].upper() if prefix else close[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""
