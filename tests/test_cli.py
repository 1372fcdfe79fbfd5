"""The `idp` command is a contract: names, options, exit statuses and the JSON of the last line."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from idp.cli import main
from idp.cli.run import prepare_keys
from idp.config import load
from idp.errors import ConfigError
from idp.secret import digest
from idp.web.check import integrity
from tests.command import Run, command_in, furnish, last


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return furnish(tmp_path)


@pytest.fixture
def idp(folder: Path) -> Run:
    return command_in(folder)


def test_config_may_stand_before_the_command_too(folder: Path) -> None:
    result = CliRunner().invoke(main, ["--config", str(folder / "idp.toml"), "clients", "list", "--json"])
    assert last(result) == {"clients": []}


def test_a_missing_configuration_is_said_with_the_fix_and_status_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", "--config", str(tmp_path / "none.toml")])
    assert result.exit_code == 2
    assert "deploy/idp.example.toml" in result.output


def test_keys_create_list_rotate(idp: Run, folder: Path) -> None:
    made = last(idp("keys", "create", "--json"))["key"]
    assert made["state"] == "current"
    assert stat.S_IMODE((folder / "keys" / f"{made['kid']}.pem").stat().st_mode) == 0o600
    assert idp("keys", "create").exit_code == 1
    rotated = last(idp("keys", "rotate", "--json"))["key"]
    states = {key["kid"]: key["state"] for key in last(idp("keys", "list", "--json"))["keys"]}
    assert states[rotated["kid"]] == "current"
    assert states[made["kid"]] == "retired"
    assert sorted(states.values()) == ["current", "next", "retired"]


def test_metadata_prints_our_saml_metadata(idp: Run) -> None:
    idp("keys", "create")
    said = last(idp("metadata", "--json"))
    assert said["entity_id"] in said["metadata"]
    assert "IDPSSODescriptor" in idp("metadata").output


def test_check_says_ok_for_each_part_and_fails_with_the_fix(idp: Run) -> None:
    failed = idp("check")
    assert failed.exit_code == 1
    assert "idp keys create" in failed.output
    idp("keys", "create")
    said = last(idp("check", "--json"))
    assert said["ok"]
    assert {finding["part"] for finding in said["findings"]} == {"configuration", "keys", "clock", "store", "directory", "clients"}


def test_clients_add_saml_makes_an_id_from_the_entity_id(idp: Run, folder: Path) -> None:
    idp("keys", "create")
    added = last(
        idp(
            "clients",
            "add",
            "saml",
            "--metadata",
            str(folder / "sp.xml"),
            "--release",
            "email,first_name=givenName",
            "--sign",
            "both",
            "--json",
        )
    )
    assert added["id"] == "sp.example.org"
    assert added["entity_id"] == "https://sp.example.org/metadata"
    assert added["release"] == {"email": "email", "first_name": "givenName"}
    shown = last(idp("clients", "show", "sp.example.org", "--json"))
    assert shown["settings"]["sign"] == "both"
    assert shown["origins"]["sign"] == "client"
    assert shown["origins"]["idp_initiated"] == "default"


def test_clients_add_saml_refuses_what_is_no_metadata(idp: Run, folder: Path) -> None:
    (folder / "wrong.xml").write_text("<html/>")
    result = idp("clients", "add", "saml", "--metadata", str(folder / "wrong.xml"), "--json")
    assert last(result, status=1)["error"].startswith("saml.")
    assert last(idp("clients", "list", "--json")) == {"clients": []}


def test_clients_add_oidc_prints_the_secret_once_and_keeps_its_digest(idp: Run, folder: Path) -> None:
    added = last(idp("clients", "add", "oidc", "--id", "rp", "--redirect-uri", "https://rp.example.org/cb", "--json"))
    assert added["client_id"] == "rp"
    assert len(added["client_secret"]) >= 32
    assert added["discovery"].endswith("/.well-known/openid-configuration")
    assert "client_secret" not in json.dumps(last(idp("clients", "show", "rp", "--json")))
    stored = b"".join(file.read_bytes() for file in folder.glob("store.sqlite3*"))
    assert added["client_secret"].encode() not in stored
    assert digest(added["client_secret"]).encode() in stored


def test_clients_add_oidc_takes_a_secret_from_a_file_and_does_not_print_it(idp: Run, folder: Path) -> None:
    (folder / "secret").write_text("a-secret-of-the-vendor\n")
    result = idp(
        "clients",
        "add",
        "oidc",
        "--id",
        "rp",
        "--redirect-uri",
        "https://rp.example.org/cb",
        "--secret-file",
        str(folder / "secret"),
        "--json",
    )
    assert "client_secret" not in last(result)
    assert "a-secret-of-the-vendor" not in result.output


def test_clients_add_oidc_public_has_no_secret(idp: Run) -> None:
    added = last(idp("clients", "add", "oidc", "--id", "spa", "--public", "--redirect-uri", "https://spa.example.org/cb", "--json"))
    assert "client_secret" not in added


def test_clients_add_oidc_from_one_rfc_7591_document(idp: Run, folder: Path) -> None:
    document = {
        "client_name": "Community",
        "client_uri": "https://community.example.org/",
        "redirect_uris": ["https://community.example.org/cb"],
        "post_logout_redirect_uris": ["https://community.example.org/"],
        "backchannel_logout_uri": "https://community.example.org/logout",
        "token_endpoint_auth_method": "client_secret_basic",
    }
    (folder / "client.json").write_text(json.dumps(document))
    added = last(idp("clients", "add", "oidc", "--registration", str(folder / "client.json"), "--json"))
    assert added["name"] == "Community"
    assert added["url"] == document["client_uri"]
    settings = last(idp("clients", "show", added["id"], "--json"))["settings"]
    assert settings["redirect_uris"] == document["redirect_uris"]
    assert settings["backchannel_logout_uri"] == document["backchannel_logout_uri"]


def test_a_client_whose_algorithm_no_key_signs_is_not_added_and_the_command_that_helps_is_said(idp: Run, folder: Path) -> None:
    document = {"redirect_uris": ["https://rp.example.org/cb"], "id_token_signed_response_alg": "ES256"}
    (folder / "client.json").write_text(json.dumps(document))
    words = ("clients", "add", "oidc", "--id", "rp", "--registration", str(folder / "client.json"), "--json")
    last(idp("keys", "create", "--json"))
    refused = idp(*words)
    assert refused.exit_code == 2
    assert "idp keys rotate oidc --kind p-256 --publish" in refused.output
    for step in ("--publish", "--activate"):
        last(idp("keys", "rotate", "oidc", "--kind", "p-256", step, "--json"))
    assert last(idp(*words))["id"] == "rp"


def test_a_server_does_not_start_with_an_algorithm_that_no_key_signs(idp: Run, folder: Path) -> None:
    last(idp("keys", "create", "--json"))
    with (folder / "idp.toml").open("a") as file:
        file.write('\n[clients.rp]\nsecret_sha256 = ["' + digest("x") + '"]\n[clients.rp.oidc]\n')
        file.write('redirect_uris = ["https://rp.example.org/cb"]\nid_token_signed_response_alg = "EdDSA"\n')
    with pytest.raises(ConfigError, match=r"clients\.rp\.oidc\.id_token_signed_response_alg: no active key signs EdDSA"):
        prepare_keys(load(folder / "idp.toml", {}))


@pytest.mark.parametrize(
    "uri", ["http://rp.example.org/cb", "https://rp.example.org/cb#x", "https://*.example.org/cb", "javascript:alert(1)"]
)
def test_S3_clients_add_oidc_refuses_a_dangerous_redirect_uri(idp: Run, uri: str) -> None:
    assert idp("clients", "add", "oidc", "--id", "rp", "--redirect-uri", uri).exit_code == 2


def test_clients_add_token_and_jsonp(idp: Run) -> None:
    token = last(idp("clients", "add", "token", "--id", "events", "--return-url", "https://events.example.org/sso/", "--json"))
    assert token["client_secret"]
    assert token["signon_url"].endswith("/token/signon")
    jsonp = last(
        idp(
            "clients",
            "add",
            "jsonp",
            "--id",
            "journal",
            "--return-url",
            "https://j.example.org/",
            "--origin",
            "https://j.example.org",
            "--json",
        )
    )
    assert jsonp["service_url"].endswith("/service/redeem")


PAGE = "https://events.example.org"
VENDORS = {
    "token": ("--return-url", f"{PAGE}/sso"),
    "jsonp": ("--origin", PAGE),
    "oidc": ("--redirect-uri", f"{PAGE}/cb", "--public"),
}


@pytest.mark.parametrize("protocol", VENDORS)
def test_S108_the_pages_that_may_ask_by_the_browsers_own_hand_are_an_option(idp: Run, protocol: str) -> None:
    last(idp("clients", "add", protocol, "--id", "events", *VENDORS[protocol], "--fedcm-origin", PAGE, "--json"))
    assert last(idp("clients", "show", "events", "--json"))["fedcm"]["origins"] == [PAGE]
    assert f"fedcm.origins = {PAGE}" in idp("clients", "show", "events").output


@pytest.mark.parametrize("origin", [f"{PAGE}/", "http://events.example.org", "*", "events.example.org"])
def test_S108_what_is_no_origin_is_refused_by_the_option(idp: Run, origin: str) -> None:
    assert idp("clients", "add", "token", "--id", "events", *VENDORS["token"], "--fedcm-origin", origin).exit_code == 2


def test_a_vendor_of_cookies_has_no_such_option(idp: Run) -> None:
    result = idp("clients", "add", "cookie", "--id", "events", "--return-url", f"{PAGE}/", "--fedcm-origin", PAGE)
    assert "No such option" in result.output


def test_clients_show_has_the_line_for_the_vendors_page_with_the_hash_of_what_is_served(idp: Run) -> None:
    last(idp("clients", "add", "token", "--id", "events", *VENDORS["token"], "--fedcm-origin", PAGE, "--json"))
    line = last(idp("clients", "show", "events", "--json"))["sso_check"]
    assert line == (
        f'<script src="http://127.0.0.1:8089/sso-check/1.js" integrity="{integrity()}" crossorigin="anonymous" '
        f'data-client="events" data-return="{PAGE}/sso"></script>'
    )
    assert line in idp("clients", "show", "events").output


def test_the_line_of_a_jsonp_page_says_so_and_one_without_a_script_has_none(idp: Run) -> None:
    for protocol in ("jsonp", "oidc"):
        last(idp("clients", "add", protocol, "--id", protocol, *VENDORS[protocol], "--json"))
    assert ' data-kind="jsonp"></script>' in last(idp("clients", "show", "jsonp", "--json"))["sso_check"]
    assert "sso_check" not in last(idp("clients", "show", "oidc", "--json"))


def test_S106_clients_add_cookie_wants_a_shared_parent_domain(idp: Run, folder: Path) -> None:
    (folder / "idp.toml").write_text((folder / "idp.toml").read_text().replace("http://127.0.0.1:8089", "https://login.example.org"))
    added = last(idp("clients", "add", "cookie", "--id", "cms", "--return-url", "https://www.example.org/", "--json"))
    assert added["signon_url"] == "https://login.example.org/cookie/signon"
    assert idp("clients", "add", "cookie", "--id", "other", "--return-url", "https://www.example.com/").exit_code in (1, 2)
    assert [client["id"] for client in last(idp("clients", "list", "--json"))["clients"]] == ["cms"]


def test_one_id_is_given_once(idp: Run) -> None:
    add = ("clients", "add", "oidc", "--id", "rp", "--redirect-uri", "https://rp.example.org/cb", "--json")
    last(idp(*add))
    assert last(idp(*add), status=1)["error"] == "clients.exists"


def test_clients_list_show_remove(idp: Run) -> None:
    last(idp("clients", "add", "oidc", "--id", "rp", "--redirect-uri", "https://rp.example.org/cb", "--json"))
    assert [client["id"] for client in last(idp("clients", "list", "--json"))["clients"]] == ["rp"]
    assert last(idp("clients", "remove", "rp", "--json")) == {"removed": "rp"}
    assert last(idp("clients", "list", "--json")) == {"clients": []}
    assert idp("clients", "show", "rp").exit_code == 1
    assert idp("clients", "remove", "rp").exit_code == 1


def test_an_unknown_bridge_names_those_there_are(idp: Run) -> None:
    result = idp("clients", "add", "oidc", "--id", "rp", "--redirect-uri", "https://rp.example.org/cb", "--bridge", "none")
    assert result.exit_code == 2
    assert "there are:" in result.output


def test_sessions_list_is_empty_at_first_and_ending_nothing_is_an_error(idp: Run) -> None:
    assert last(idp("sessions", "list", "--json")) == {"sessions": []}
    assert idp("sessions", "end", "_none").exit_code == 1
    assert idp("sessions", "end").exit_code == 2
    assert last(idp("sessions", "end", "--all", "--json")) == {"ended": []}
