"""idp.toml is typed: all errors at once, each with its place; the environment goes over the file; secrets only by reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from idp.config import Loaded, load, locate
from idp.errors import ConfigError
from idp.secret import Secret, digest

MINIMAL = """
[server]
url = "https://login.example.org"

[directory]
kind = "people"
people = "people.toml"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "idp.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), environment or {})
    return caught.value.problems


def good(folder: Path, text: str = MINIMAL, environment: dict[str, str] | None = None) -> Loaded:
    return load(write(folder, text), environment or {})


def test_a_minimal_file_is_enough(tmp_path: Path) -> None:
    config = good(tmp_path).config
    assert config.server.url == "https://login.example.org"
    assert config.session.idle == 3600


def test_U31_all_errors_come_at_once_with_their_lines(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        '[server]\nurl = "ftp://x"\n\n[directory]\nkind = "people"\npeople = "p.toml"\n\n[session]\nidle = "soon"\nidel = 5\n',
    )
    assert len(found) == 3
    assert any(line.startswith("line 2: server.url") for line in found)
    assert any(line.startswith("line 9: session.idle") for line in found)
    assert any(line.startswith("line 10: session.idel is not a setting; did you mean idle?") for line in found)


def test_U31_a_wrong_key_of_a_client_says_its_line_and_the_right_name(tmp_path: Path) -> None:
    text = MINIMAL + '\n[clients.events.token]\nreturn_url = ["https://events.example.org/sso"]\n'
    assert problems(tmp_path, text) == ["line 10: clients.events.token.return_url is not a setting; did you mean return_urls?"]


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    assert any("server.url is missing" in line for line in problems(tmp_path, "[server]\n[directory]\nkind='people'\npeople='p'\n"))


def test_a_syntax_error_says_its_line(tmp_path: Path) -> None:
    assert "line 2" in problems(tmp_path, "[server]\nurl = \n")[0]


def test_a_client_with_two_protocols_or_none_is_refused(tmp_path: Path) -> None:
    assert "exactly one" in problems(tmp_path, MINIMAL + '\n[clients.x]\nname = "X"\n')[0]


@pytest.mark.parametrize("client_id", ["a b", "a/b", "", "ä", "x" * 129, "-x"])
def test_a_client_id_that_could_not_stand_in_a_url_is_refused(tmp_path: Path, client_id: str) -> None:
    text = MINIMAL + f'\n[clients."{client_id}".token]\nreturn_urls = ["https://events.example.org/sso"]\n'
    assert "not a good id" in problems(tmp_path, text)[0]


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    text = MINIMAL + '\n[session]\nidle = "2h"\n'
    assert good(tmp_path, text, {"IDP_SESSION_IDLE": "30m"}).config.session.idle == 1800
    assert good(tmp_path, text, {"IDP_SESSION_ABSOLUTE": "90"}).config.session.absolute == 90


def test_a_list_comes_from_the_environment_in_tomls_way(tmp_path: Path) -> None:
    loaded = good(tmp_path, MINIMAL, {"IDP_SERVER_TRUSTED_PROXIES": '["10.0.0.0/8"]'})
    assert loaded.config.server.trusted_proxies == ("10.0.0.0/8",)


def test_a_misspelt_variable_of_a_known_section_is_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path, MINIMAL, {"IDP_SESSION_IDEL": "5"}) == [
        "environment: IDP_SESSION_IDEL is not a setting; did you mean IDP_SESSION_IDLE?"
    ]


def test_a_variable_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    assert good(tmp_path, MINIMAL, {"IDP_VENDOR_SECRET": "x"})


def test_secrets_stand_in_the_file_by_reference_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = '\n[clients.events]\nsecret = {secret}\n[clients.events.token]\nreturn_urls = ["https://events.example.org/sso"]\n'
    found = problems(tmp_path, MINIMAL + client.replace("{secret}", '"hunter2-hunter2"'))
    assert "never in the clear" in found[0]
    assert "hunter2" not in "".join(found)
    monkeypatch.setenv("EVENTS_SECRET", "from the environment")
    (tmp_path / "secret.txt").write_text("from a file\n")
    by_env = good(tmp_path, MINIMAL + client.replace("{secret}", '{ env = "EVENTS_SECRET" }'))
    by_file = good(tmp_path, MINIMAL + client.replace("{secret}", '{ file = "secret.txt" }'))
    assert by_env.file_clients()[0].secrets == (digest("from the environment"),)
    assert by_file.file_clients()[0].accepts(Secret("from a file"))
    assert "from a file" not in repr(by_file)


def test_S27_an_oauth_client_has_a_secret_or_says_that_it_can_keep_none(tmp_path: Path) -> None:
    client = '\n[clients.rp.oidc]\nredirect_uris = ["https://rp.example.org/cb"]\n'
    assert "needs a secret" in problems(tmp_path, MINIMAL + client)[0]
    assert good(tmp_path, MINIMAL + client + "public = true\n").file_clients()[0].secrets == ()


def test_a_digest_of_a_secret_that_could_never_match_is_refused(tmp_path: Path) -> None:
    client = '\n[clients.rp]\nsecret_sha256 = ["{digest}"]\n[clients.rp.oidc]\nredirect_uris = ["https://rp.example.org/cb"]\n'
    assert "64 hexadecimal digits" in problems(tmp_path, MINIMAL + client.replace("{digest}", digest("x").upper()))[0]
    assert good(tmp_path, MINIMAL + client.replace("{digest}", digest("x"))).file_clients()[0].accepts(Secret("x"))


def test_a_secret_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    client = '\n[clients.e]\nsecret = { env = "NOT_SET_ANYWHERE" }\n[clients.e.token]\nreturn_urls = ["https://e.example.org/"]\n'
    assert "NOT_SET_ANYWHERE is not set" in problems(tmp_path, MINIMAL + client)[0]


@pytest.mark.parametrize("url", ["http://login.example.org", "https://login.example.org/idp", "https://a@b.example", "login.example.org"])
def test_S119_the_public_url_is_https_and_a_host_alone(tmp_path: Path, url: str) -> None:
    assert "server.url" in problems(tmp_path, MINIMAL.replace("https://login.example.org", url))[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "http://idp.assoc.localhost:8001", "http://[::1]:8080"])
def test_plain_http_is_for_loopback(tmp_path: Path, url: str) -> None:
    assert good(tmp_path, MINIMAL.replace("https://login.example.org", url)).config.server.url == url


def test_production_refuses_what_is_for_trials(tmp_path: Path) -> None:
    assert "people" in problems(tmp_path, MINIMAL.replace("[directory]", "production = true\n[directory]"))[0]


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    assert good(tmp_path).config.keys.folder == tmp_path / "keys"
    loaded = good(tmp_path, MINIMAL + '\n[keys]\nfolder = "our-keys"\n')
    assert loaded.config.keys.folder == tmp_path / "our-keys"


def test_lines_are_found_for_tables_dotted_and_quoted_keys() -> None:
    found = locate('[a."b c"]\nd.e = 1\n"f" = 2\n\n[[g]]\nh = 1\n')
    assert found[("a", "b c")] == 1
    assert found[("a", "b c", "d", "e")] == 2
    assert found[("a", "b c", "f")] == 3
    assert found[("g", "h")] == 6


def test_the_example_file_is_what_the_types_say() -> None:
    """`make example` writes it again after a change of a setting."""
    root = Path(__file__).parent.parent
    written = subprocess.run([sys.executable, "-m", "idp.example"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert (root / "deploy" / "idp.example.toml").read_text(encoding="utf-8") == written


def test_the_example_file_can_be_read_once_the_directory_is_filled_in(tmp_path: Path) -> None:
    example = (Path(__file__).parent.parent / "deploy" / "idp.example.toml").read_text(encoding="utf-8")
    filled = example.replace("[directory]", '[directory]\nkind = "people"\npeople = "people.toml"', 1)
    assert good(tmp_path, filled).config.server.url == "https://login.example.org"
