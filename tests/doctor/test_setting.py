"""Lines of idp.toml that will do harm, and the files about them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from idp.cli.doctor import Patient, examine
from idp.config import load
from tests.doctor.house import USUAL, House


def oidc_client(house: House, **settings: str) -> None:
    house.put("clients.app", secret='{ file = "secret" }')
    house.put("clients.app.oidc", redirect_uris='["https://app.example.org/cb"]', **settings)


def operators_behind_an_unknown_proxy(house: House) -> None:
    house.put("operators", networks='["127.0.0.1"]')
    house.put("server", trusted_proxies="[]")


def in_days(days: int) -> str:
    return f"{(datetime.now(UTC) + timedelta(days=days)).date()}"


def jsonp_client(house: House, *, days: int) -> None:
    house.put("clients.news", jsonp=f'{{ origins = ["https://news.example.org"], expires = {in_days(days)} }}')


def sha1_client(house: House, *, days: int) -> None:
    own = f'{{ entity_id = "urn:old", acs = "https://old.example.org/acs", legacy_algorithms_until = {in_days(days)} }}'
    house.put("clients.old", saml=own)


def cookie_client(house: House, address: str, more: str = "") -> None:
    house.put("clients.www", cookie=f'{{ return_urls = ["{address}"]{more} }}')


def two_secrets(house: House) -> None:
    house.put("clients.lms", secret_sha256=f'["{"0" * 64}"]')


def mail_in_clear(house: House) -> None:
    house.put("mail", host='"mail.example.org"', sender='"login@example.org"', starttls="false")


def accounts_without_a_directory_for_them(house: House) -> None:
    house.put("account", mode='"hosted"')
    house.put("mail", host='"mail.example.org"', sender='"login@example.org"')


BROKEN: dict[str, Callable[[House], None]] = {
    "server.plain_http": lambda house: house.put("server", url='"http://localhost:8080"'),
    "server.no_proxy": lambda house: house.put("server", trusted_proxies="[]"),
    "server.proxies_wide": lambda house: house.put("server", trusted_proxies='["0.0.0.0/0"]'),
    "server.listens_to_all": lambda house: house.put("server", trusted_proxies="[]", listen='"0.0.0.0:8080"'),
    "server.certificate_header": lambda house: house.put("server", trusted_proxies="[]", certificate_header='"X-Client-Cert"'),
    "server.workers": lambda house: house.put("server", workers="64000"),
    "server.no_certificate_header": lambda house: oidc_client(house, tls_client_certificate_bound_access_tokens="true"),
    "operators.wide": lambda house: house.put("operators", networks='["::/0"]'),
    "operators.proxy": operators_behind_an_unknown_proxy,
    "session.idle": lambda house: house.put("session", idle='"2d"', absolute='"1d"'),
    "session.long": lambda house: house.put("session", absolute='"60d"'),
    "login.tries": lambda house: house.put("login", tries_per_account="1000"),
    "grace.long": lambda house: house.put("grace", days="60"),
    "account.impossible": accounts_without_a_directory_for_them,
    "secrets.open": lambda house: (house.folder / "secret").chmod(0o644),
    "keys.missing": lambda house: oidc_client(house, id_token_signed_response_alg='"ES256"'),
    "keys.small": lambda house: house.put("keys", rsa_bits="1024"),
    "clients.two_secrets": two_secrets,
    "cookie.readable": lambda house: cookie_client(house, "https://www.example.org/", ", http_only = false"),
    "oidc.without_pkce": lambda house: oidc_client(house, require_pkce="false"),
    "oidc.browser_tokens": lambda house: oidc_client(house, response_types='["code", "code token"]'),
    "saml.sha1": lambda house: sha1_client(house, days=20),
    "jsonp.ending": lambda house: jsonp_client(house, days=-1),
    "store.in_clear": lambda house: house.put("store", url='"mongodb://db.example.org/idp?replicaSet=rs0"'),
    "store.alone": lambda house: house.put("store", url='"mongodb://127.0.0.1/idp"'),
    "mail.in_clear": mail_in_clear,
    "mail.templates": lambda house: house.put("mail", templates='"nowhere"'),
}


def test_U32_of_a_house_in_good_order_nothing_more_is_said(house: House) -> None:
    assert house.said() == USUAL


@pytest.mark.parametrize("check", BROKEN)
def test_U32_what_is_broken_is_named_with_its_fix(house: House, check: str) -> None:
    BROKEN[check](house)
    assert house.told(check)


@pytest.mark.parametrize(("days", "said"), [(29, True), (32, False)])
def test_S99_a_page_whose_time_ends_within_a_month_is_named(house: House, days: int, said: bool) -> None:
    jsonp_client(house, days=days)
    assert ("jsonp.ending" in house.said()) is said


def test_when_the_days_of_SHA_1_are_over_no_more_is_said_of_them(house: House) -> None:
    sha1_client(house, days=-1)
    assert "saml.sha1" not in house.said()


def test_a_cookie_under_our_own_domain_is_in_good_order(house: House) -> None:
    cookie_client(house, "https://www.example.org/")
    assert house.said() == USUAL


def test_U32_a_configuration_that_others_may_change_is_named(house: House) -> None:
    path = house.write()
    path.chmod(0o666)
    assert "config.writable" in [each.check for each in examine(Patient(load(path, {}), None))]


@pytest.mark.parametrize(("user", "said"), [("idp:word@", True), ("", False)])
def test_U32_a_database_password_that_others_may_read_is_named(house: House, user: str, said: bool) -> None:
    house.put("store", url=f'"mongodb://{user}127.0.0.1/idp?replicaSet=rs0"')
    path = house.write()
    path.chmod(0o644)
    found = {each.check: each.detail for each in examine(Patient(load(path, {}), None))}
    assert ("config.readable" in found) is said
    assert "word@" not in str(found)


def test_telemetry_that_is_on_wants_its_libraries(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.put("telemetry", endpoint='"http://127.0.0.1:4318"')
    assert house.said() == USUAL
    monkeypatch.setitem(sys.modules, "idp.web.telemetry", None)  # as if its import had failed
    assert "telemetry.missing" in house.said()


def test_U32_calls_into_the_own_network_are_named_in_production(house: House) -> None:
    house.put("outbound", allow_private="true")
    assert "outbound.private" in house.said(production=True)


def test_U32_one_file_for_everything_is_named_in_production(house: House) -> None:
    house.put("store", url=f'"sqlite://{house.folder}/store.sqlite"')
    assert house.said(production=True) == {"store.one_machine"}
    assert house.said() == USUAL
