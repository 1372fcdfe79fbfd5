"""What the demo writes into its data folder before anything starts: idp.toml, the vendors' secrets, the learning center's key and metadata.

Secrets and keys are made once and kept; idp.toml and the metadata are written at every start, since they hold the port.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from idp.demo.address import LOOPBACK, Addresses
from idp.demo.vendors import CMS, COMMUNITY, EVENTS, JOURNAL, LMS, STORE, VENDORS, Vendor, cookie, jsonp, oauth, openid, token
from idp.demo.vendors.saml import provider_metadata
from idp.demo.way import CLIENT_SECRET, Way, directory_keys
from idp.keys import KeyRing, SigningKey
from idp.secret import Secret, new_secret

Value = str | int | bool | list[str] | dict[str, str]
Tables = Mapping[str, Mapping[str, Value]]

_SERVICE_SECRET = "imis-service"
_HEAD = "# Written by `idp demo` at every start: changes here do not last. deploy/idp.example.toml explains every setting.\n"
_RELEASE: Mapping[str, list[str]] = {
    LMS.id: ["displayName", "givenName", "sn", "mail", "imis_id=memberNumber", "member_type=memberType"],
    COMMUNITY.id: ["full_name", "first_name", "last_name", "email", "committees"],
    EVENTS.id: ["full_name", "email", "company", "member_type"],
    STORE.id: ["full_name", "email", "member_type", "paid_through"],
    CMS.id: ["full_name", "roles"],
    JOURNAL.id: ["full_name", "status"],
}
"""What each vendor may see of a member: not the same for any two."""


@dataclass(frozen=True)
class Prepared:
    """What was written: the configuration's file, each vendor's secret by its id, and the learning center's key."""

    file: Path
    secrets: Mapping[str, str]
    provider_key: SigningKey
    client_secret: Secret
    """Of our client application in iMIS."""


def prepare(
    folder: Path, addresses: Addresses, *, service_username: str, service_password: Secret, mail_port: int = 25, way: Way = "form"
) -> Prepared:
    """Writes everything into `folder`, readable by its owner alone."""
    client_secret = _kept_secret(folder, CLIENT_SECRET)
    secrets = {vendor.id: _kept_secret(folder, vendor.id) for vendor in VENDORS if vendor is not LMS}
    _write(_secret_file(folder, _SERVICE_SECRET), service_password.reveal())
    key = _provider_key(folder / LMS.id)
    _write(folder / LMS.id / "metadata.xml", provider_metadata(addresses.of(LMS.host), key).decode())
    file = folder / "idp.toml"
    _write(file, _HEAD + _toml({**_server_tables(addresses, service_username, mail_port, way), **_client_tables(addresses)}))
    return Prepared(file, secrets, key, Secret(client_secret))


def _server_tables(addresses: Addresses, service_username: str, mail_port: int, way: Way) -> Tables:
    return {
        "server": {
            "url": addresses.idp,
            "name": "Example Association",
            "home_url": f"{addresses.portal}/",
            "listen": f"{LOOPBACK}:{addresses.idp_port}",
            "workers": 2,
        },
        "store": {"folder": "store"},
        "keys": {"folder": "keys"},
        "directory": {
            "kind": "imis-rest",
            "site_url": addresses.imis,
            "allow_http": True,
            "service_username": service_username,
            "service_password": {"file": f"secrets/{_SERVICE_SECRET}"},
            **directory_keys(way, addresses),
        },
        "login": {
            "renew_url": f"{addresses.portal}/#accounts",
            "help_text": "This is a demo: names and passwords stand on its start page.",
        },
        "account": {"mode": "hosted"},
        "mail": {"host": LOOPBACK, "port": mail_port, "starttls": False, "sender": "login@assoc.localhost"},
        "outbound": {"allow_private": True},
    }


def _client_tables(addresses: Addresses) -> Tables:
    """[clients.ID] and [clients.ID.PROTOCOL] of each vendor."""
    tables: dict[str, Mapping[str, Value]] = {}
    for vendor in VENDORS:
        protocol, settings = _protocol_table(vendor, addresses.of(vendor.host))
        secret: dict[str, Value] = {} if vendor is LMS else {"secret": {"file": f"secrets/{vendor.id}"}}
        tables[f"clients.{vendor.id}"] = {
            "name": vendor.name, "url": f"{addresses.of(vendor.host)}/", "release": _RELEASE[vendor.id], **secret,
        }  # fmt: skip
        tables[f"clients.{vendor.id}.{protocol}"] = settings
    tables[f"clients.{STORE.id}.fedcm"] = {"origins": [addresses.of(STORE.host)], "greet": True}
    return tables


def _protocol_table(vendor: Vendor, url: str) -> tuple[str, Mapping[str, Value]]:
    notice = f"{url}/logout-notice"
    tables: Mapping[Vendor, tuple[str, Mapping[str, Value]]] = {
        LMS: ("saml", {"metadata": f"{LMS.id}/metadata.xml", "sign": "both"}),
        COMMUNITY: (
            "oidc",
            {
                "redirect_uris": [url + openid.CALLBACK_PATH],
                "post_logout_redirect_uris": [url + openid.SIGNED_OUT_PATH],
                "backchannel_logout_uri": notice,
            },
        ),
        EVENTS: ("oidc", {"redirect_uris": [url + oauth.CALLBACK_PATH], "backchannel_logout_uri": notice}),
        STORE: ("token", {"return_urls": [url + token.RETURN_PATH], "logout_url": notice}),
        CMS: ("cookie", {"return_urls": [url + cookie.RETURN_PATH], "logout_url": notice}),
        JOURNAL: (
            "jsonp",
            {"origins": [url], "expires": "2099-12-31", "return_urls": [url + jsonp.RETURN_PATH], "logout_url": notice},
        ),
    }
    return tables[vendor]


def _provider_key(folder: Path) -> SigningKey:
    ring = KeyRing(folder)
    ring.create_if_empty(common_name=LMS.host)
    return ring.current


def _kept_secret(folder: Path, name: str) -> str:
    file = _secret_file(folder, name)
    if not file.exists():
        _write(file, new_secret())
    return file.read_text(encoding="utf-8")


def _secret_file(folder: Path, name: str) -> Path:
    return folder / "secrets" / name


def _write(file: Path, text: str) -> None:
    """Whole or not at all, readable by the owner alone."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as written:
        written.write(text)
    temporary.replace(file)


def _toml(tables: Tables) -> str:
    return "\n".join(f"[{name}]\n{_lines(table)}" for name, table in tables.items())


def _lines(table: Mapping[str, Value]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Value) -> str:
    """A text of JSON is a text of TOML, and so are a number, a truth and a list of texts."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {json.dumps(text)}" for key, text in value.items()) + " }"
    return json.dumps(value)
