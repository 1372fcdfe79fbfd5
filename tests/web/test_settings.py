"""[server]: who we are to the outside, checked before anything is built on it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from idp.web.settings import ServerSettings, TelemetrySettings, is_loopback


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://login.example.org", "https://login.example.org"),
        ("https://Login.Example.ORG/", "https://login.example.org"),
        ("https://login.example.org:8443", "https://login.example.org:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://idp.localhost", "http://idp.localhost"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_public_url_is_a_scheme_and_a_host(given: str, kept: str) -> None:
    assert ServerSettings(url=given).url == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "login.example.org",
        "//login.example.org",
        "ftp://login.example.org",
        "javascript:alert(1)",
        "http://login.example.org",
        "http://localhost.example.org",
        "https://login.example.org/idp",
        "https://login.example.org?x=1",
        "https://login.example.org#x",
        "https://user@login.example.org",
        "https://login.example.org:99999",
        "https://login.example.org:0x50",
        "https://login.example.org\\@evil.example",
        "https://login example.org",
        "https://bücher.example",
        "https://",
    ],
)
def test_S119_what_could_mean_another_host_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(url=given)


def test_S71_https_decides_on_the_cookies() -> None:
    assert ServerSettings(url="https://login.example.org").secure
    assert not ServerSettings(url="http://localhost").secure


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[(host, True) for host in ("localhost", "a.localhost", "127.9.9.9", "::1", "[::1]")],
        *[(host, False) for host in ("localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "0.0.0.0", "")],
    ],
)
def test_this_machine_alone_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "ftp://collector", "http://user:word@collector", "http://collector?token=x"])
def test_the_collectors_address_is_one_that_may_stand_in_a_log(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="collector"):
        TelemetrySettings(endpoint=endpoint)


def test_the_collectors_address_may_have_a_path() -> None:
    assert TelemetrySettings(endpoint="https://collector.example.org/otlp/").traces_url == "https://collector.example.org/otlp/v1/traces"
