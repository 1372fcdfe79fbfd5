"""[account], [mail], [grace] and a client's rules, as they stand in idp.toml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from idp.app import create_app
from idp.config import Loaded, load
from idp.errors import ConfigError
from idp.store import Store
from idp.store.sqlite import SqliteStore
from idp.web.mail import mail_renderer

PEOPLE = '[[people]]\nid = "101"\nusername = "ada"\npassword = "demo"\n'
MINIMAL = '[server]\nurl = "https://login.example.org"\n[directory]\nkind = "people"\npeople = "people.toml"\n'
MAIL = '[mail]\nhost = "mail.example.org"\nsender = "login@example.org"\n'
CLIENT = '\n[clients.events.token]\nreturn_urls = ["https://events.example.org/sso"]\n'


def read(folder: Path, text: str) -> Loaded:
    (folder / "people.toml").write_text(PEOPLE)
    (folder / "idp.toml").write_text(MINIMAL + text)
    return load(folder / "idp.toml", {})


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return caught.value.problems


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = SqliteStore(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def test_hosted_pages_want_a_mail_server(tmp_path: Path) -> None:
    assert "give mail.host and mail.sender" in problems(tmp_path, '[account]\nmode = "hosted"\n')[0]


def test_hosted_pages_want_a_directory_that_can_set_passwords(tmp_path: Path, store: Store) -> None:
    with pytest.raises(ConfigError, match='"people" cannot'):
        create_app(read(tmp_path, '[account]\nmode = "hosted"\n' + MAIL), store)


def test_linked_pages_are_linked_and_none_of_ours_is_there(tmp_path: Path, store: Store) -> None:
    loaded = read(tmp_path, '[login]\nchange_password_url = "https://m.example.org/c"\nforgot_password_url = "https://m.example.org/f"\n')
    visitor = create_app(loaded, store).test_client()
    assert 'href="https://m.example.org/f"' in visitor.get("/login", base_url="https://login.example.org").text
    assert visitor.get("/.well-known/change-password").location == "https://m.example.org/c"
    assert visitor.get("/account/forgot-password").status_code == 404


def test_without_an_address_there_is_no_change_password_page(tmp_path: Path, store: Store) -> None:
    assert create_app(read(tmp_path, ""), store).test_client().get("/.well-known/change-password").status_code == 404


def test_a_clients_rules_are_read(tmp_path: Path) -> None:
    rules = '[clients.events]\ngrace = true\nmax_age = "10m"\n[clients.events.entry]\nactive = true\n'
    (client,) = read(tmp_path, rules + CLIENT).file_clients()
    assert (client.grace, client.max_age, client.entry.active) == (True, 600, True)


def test_U31_a_wrong_entry_rule_says_its_line(tmp_path: Path) -> None:
    text = CLIENT.replace("[clients.events.token]", "[clients.events.entry]\nmember_type = ['REG']\n[clients.events.token]")
    assert problems(tmp_path, text) == ["line 8: clients.events.entry.member_type is not a setting; did you mean member_types?"]


def test_U31_a_map_without_values_says_what_is_missing(tmp_path: Path) -> None:
    rules = '[clients.events.release]\nkind = { from = "member_type", rule = "map" }\n'
    (problem,) = problems(tmp_path, rules + CLIENT)
    assert problem.startswith("line 7: clients.events.release.kind: the rule map wants values")


LINKED = ("forgot_password_url", "forgot_username_url", "create_account_url")


@pytest.mark.parametrize("name", LINKED)
def test_each_linked_page_is_told_the_way_back(tmp_path: Path, store: Store, name: str) -> None:
    loaded = read(tmp_path, f'[login]\n{name} = "https://m.example.org/x?returnurl={{return}}"\n')
    page = create_app(loaded, store).test_client().get("/login", base_url="https://login.example.org").text
    assert 'href="https://m.example.org/x?returnurl=https%3A%2F%2Flogin.example.org%2Flogin"' in page


def test_the_linked_page_for_a_new_password_is_told_the_way_back(tmp_path: Path, store: Store) -> None:
    loaded = read(tmp_path, '[login]\nchange_password_url = "https://m.example.org/x?back={return}"\n')
    answer = create_app(loaded, store).test_client().get("/.well-known/change-password")
    assert answer.location == "https://m.example.org/x?back=https%3A%2F%2Flogin.example.org%2F"


class TestOwnLetters:
    """[mail] templates."""

    def letter(self, folder: Path, name: str, form: str) -> str:
        app = Flask("idp.web")
        return mail_renderer(app.jinja_env, folder)(
            f"mail/{name}.{form}", {"username": "<ada>", "link": "https://x/1", "minutes": 20, "house": "A&B"}
        )

    def test_a_letter_of_the_associations_own_takes_the_place_of_ours(self, tmp_path: Path) -> None:
        (tmp_path / "reset.txt").write_text("Subject: Neues Passwort\n\nHallo {{ username }}: {{ link }}\n", encoding="utf-8")
        assert self.letter(tmp_path, "reset", "txt") == "Subject: Neues Passwort\n\nHallo <ada>: https://x/1"
        assert "was changed just now" in self.letter(tmp_path, "changed", "txt")

    def test_a_frame_of_its_own_is_around_all_html_letters_and_nothing_in_it_is_markup(self, tmp_path: Path) -> None:
        (tmp_path / "layout.html").write_text("<h1>Ours</h1>{% block main %}{% endblock %}")
        html = self.letter(tmp_path, "reset", "html")
        assert html.startswith("<h1>Ours</h1>")
        assert "&lt;ada&gt;" in html

    @pytest.mark.parametrize("text", ["{% if %}", "{{ link", "\udcff"])
    def test_one_that_is_no_template_stops_the_start(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "reset.html").write_text(text, errors="surrogateescape")
        with pytest.raises(ConfigError, match=r"mail\.templates: reset\.html"):
            self.letter(tmp_path, "reset", "html")

    def test_a_folder_that_is_not_there_stops_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="is no folder"):
            self.letter(tmp_path / "gone", "reset", "txt")
