"""[clients.ID.oidc] and registration documents: what is taken and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from idp.protocols.oidc.registration.document import RegistrationRefused, read_registration
from idp.protocols.oidc.settings import OidcSettings

GOOD = "https://rp.example.org/cb"


@pytest.mark.parametrize(
    "uri",
    [
        GOOD,
        "https://rp.example.org",
        "https://rp.example.org:8443/a?b=c&d=%20",
        "http://localhost:3000/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:80/cb",
    ],
)
def test_S3_good_redirect_uris_are_taken_as_they_are(uri: str) -> None:
    assert OidcSettings(redirect_uris=(uri,)).redirect_uris == (uri,)


@pytest.mark.parametrize(
    "uri",
    ["http://rp.example.org/cb", f"{GOOD}#", f"{GOOD}#x", "https://*.example.org/cb", "https://rp.example.org/*",
     "https://a@rp.example.org/cb",
     "https://a:b@rp.example.org/", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "", "cb", "/cb",
     "//rp.example.org/cb", "https://",
     "https:///cb", "https://rp.example.org\\@evil.example/", "https://rp.example.org/ cb", "https://rp.example.org/cb\n",
     "https://rp.example.org:99999/",
     "https://[::1", "https://münchen.example/cb", "http://127.0.0.1.evil.example/", "com.example.app:/cb",
     "https://rp.example.org/" + "x" * 2000],
)  # fmt: skip
@pytest.mark.parametrize("member", ["redirect_uris", "post_logout_redirect_uris"])
def test_S3_dangerous_addresses_are_refused(member: str, uri: str) -> None:
    with pytest.raises(ValidationError):
        OidcSettings(**{"redirect_uris": (GOOD,), member: (uri,)})


@pytest.mark.parametrize("uris", [GOOD, (), None, {GOOD: 1}])
def test_S3_redirect_uris_is_a_list_with_something_in_it(uris: Any) -> None:
    with pytest.raises(ValidationError):
        OidcSettings(redirect_uris=uris)


@pytest.mark.parametrize(
    "settings",
    [
        {"public": True, "require_pkce": False},
        {"subject_type": "pairwise", "redirect_uris": (GOOD, "https://other.example.org/cb")},
        {"response_modes": ("web_message",)},
        {"response_modes": ()},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"scopes": ("two words",)},
        {"initiate_login_uri": "http://rp.example.org/start"},
        {"backchannel_logout_uri": "http://rp.example.org/out"},
        {"frontchannel_logout_uri": "https://elsewhere.example.org/out"},
        {"redirect_uri": GOOD},
    ],
)
def test_settings_that_contradict_or_ask_for_what_is_not_there_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OidcSettings(**{"redirect_uris": (GOOD,), **settings})


def test_a_registration_document_becomes_settings() -> None:
    registration = read_registration(
        {
            "client_name": "Community",
            "client_uri": "https://rp.example.org/",
            "redirect_uris": [GOOD],
            "post_logout_redirect_uris": ["https://rp.example.org/bye"],
            "backchannel_logout_uri": "https://rp.example.org/out",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_post",
            "scope": "openid email offline_access",
            "subject_type": "public",
            "application_type": "native",
            "logo_uri": "https://rp.example.org/logo.png",
            "something_else": {"is": "ignored"},
        }
    )
    assert (registration.name, registration.url) == ("Community", "https://rp.example.org/")
    settings = OidcSettings(**registration.settings)
    assert settings == OidcSettings(
        redirect_uris=(GOOD,),
        post_logout_redirect_uris=("https://rp.example.org/bye",),
        backchannel_logout_uri="https://rp.example.org/out",
        token_endpoint_auth_method="client_secret_post",
        scopes=("openid", "email", "offline_access"),
        grant_types=("authorization_code", "refresh_token"),
        native=True,
    )


def test_the_shortest_registration_document() -> None:
    assert read_registration({"redirect_uris": [GOOD]}).settings == {"redirect_uris": [GOOD]}


def test_a_registration_without_a_secret_is_a_public_client() -> None:
    assert read_registration({"redirect_uris": [GOOD], "token_endpoint_auth_method": "none"}).settings["public"] is True


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("redirect_uris", GOOD),
        ("redirect_uris", []),
        ("redirect_uris", [1]),
        ("grant_types", ["implicit"]),
        ("grant_types", ["authorization_code", "client_credentials"]),
        ("grant_types", ["refresh_token"]),
        ("grant_types", "authorization_code"),
        ("response_types", ["code", "token"]),
        ("response_types", "code"),
        ("token_endpoint_auth_method", "private_key_jwt"),
        ("token_endpoint_auth_method", 7),
        ("id_token_signed_response_alg", "none"),
        ("userinfo_signed_response_alg", "none"),
        ("dpop_bound_access_tokens", "yes"),
        ("request_uris", "https://rp.example.org/r"),
        ("jwks", []),
        ("default_max_age", -1),
        ("request_object_encryption_alg", "RSA-OAEP-256"),
        ("scope", ["openid"]),
        ("client_name", {"en": "x"}),
        ("backchannel_logout_uri", ["https://rp.example.org/out"]),
    ],
)
def test_a_registration_that_cannot_be_honoured_names_the_member(member: str, value: Any) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        read_registration({"redirect_uris": [GOOD], member: value})
    assert refused.value.cause == f"oidc.registration.{member}"
    assert refused.value.message.startswith(member)


@pytest.mark.parametrize("document", [[], "x", None, 1])
def test_a_registration_that_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(RegistrationRefused):
        read_registration(document)
