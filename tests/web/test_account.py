"""The account pages: what they mail, what they change, and that they tell strangers nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from idp.demo.mailbox import Mail, Mailbox, receiving
from idp.directory import AccountRefused, DirectoryUnavailable, NewPerson, Subject
from idp.secret import Secret
from idp.sso.account import AccountDesk, AccountSettings
from idp.sso.account_letter import AccountLetters
from idp.sso.letter import LetterQueue
from idp.sso.login import LoginSettings
from idp.sso.password import PasswordRules
from idp.sso.session import Session
from idp.store.sqlite import SqliteStore
from idp.web.account.views import account_pages, change_password_redirect
from idp.web.mail import Mailer, MailSettings
from tests.sso.echo import make_client
from tests.sso.house import ADA, BEN, PASSWORD, Clock, House, at_once

from .site import URL, Site, Visitor, hidden_fields

GOOD = "seven wild geese went south"
TWIN = Subject("201", "twin", {"username": ("twin",), "email": ("ada@assoc.example",)})


class Registry:
    """An `Accounts` over the house's members; what was set is in `passwords`."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.passwords: dict[str, str] = {}
        self.made: list[NewPerson] = []
        self.refusal: Exception | None = None

    def find_by_email(self, email: str) -> list[Subject]:
        everybody = self.house.members.by_id.values()
        return [each for each in everybody if email.casefold() in (value.casefold() for value in each.attributes.get("email", ()))]

    def find_by_username(self, username: str) -> Subject | None:
        return next((each for each in self.house.members.by_id.values() if each.username == username.casefold()), None)

    def create_account(self, person: NewPerson, username: str, password: Secret) -> Subject:
        if any(each.username == username for each in self.house.members.by_id.values()):
            raise AccountRefused("directory.username_taken", "This user name is taken. Please choose another one.")
        subject = Subject("900", username, {"username": (username,), "email": (person.email,)})
        self.house.members.by_id["900"] = subject
        self.made.append(person)
        return subject

    def set_password(self, subject: Subject, password: Secret) -> None:
        if self.refusal:
            raise self.refusal
        self.passwords[subject.id] = password.reveal()


class World:
    """A site with hosted account pages, and the mailbox of the whole association."""

    def __init__(self, folder: Path, mailbox: Mailbox, port: int, **settings: Any) -> None:
        self.now = Clock()
        self.store = SqliteStore(folder / "store.sqlite", now=self.now)
        self.house = House(self.store, self.now, (make_client("lms"),))
        self.house.members.by_id["201"] = TWIN
        login = LoginSettings(change_password_url="/account/password", forgot_password_url="/account/forgot-password")
        self.site = Site(self.house, login=login)
        self.registry = Registry(self.house)
        self.mailbox = mailbox
        app = self.site.app
        self.mailer = Mailer(
            MailSettings(host="127.0.0.1", port=port, starttls=False, sender="login@assoc.example"),
            house="Example Association",
            render=lambda template, values: app.jinja_env.get_template(template).render(values),
            now=self.now,
        )
        self.queue = self.make_queue()
        self.desk = AccountDesk(
            AccountSettings(mode="hosted", **settings),
            rules=PasswordRules(15, "at least 7 characters long and has both letters and numbers"),
            house="Example Association",
            accounts=self.registry,
            directory=self.house.members,
            login=self.house.desk,
            sessions=self.house.sessions,
            logout=self.house.logout,
            outbox=self.queue,
            store=self.store,
            audit=self.house.audit,
            now=self.now,
        )
        app.register_blueprint(account_pages(self.site.gateway, self.desk, create=True))
        app.register_blueprint(change_password_redirect(login))

    def make_queue(self) -> LetterQueue:
        """Another worker's, over the same store."""
        letters = AccountLetters(self.registry, self.store, url=URL, link_life=1200, now=self.now)
        return LetterQueue(self.store, write=letters.write, send=self.mailer.send, life=1200, audit=self.house.audit, now=self.now)

    def visitor(self) -> Visitor:
        return self.site.visitor()

    def fill(self, path: str, visitor: Visitor | None = None, action: str = "", **fields: str) -> Any:
        """Opens the page and posts its form."""
        visitor = visitor or self.visitor()
        page = visitor.get(path)
        assert page.status_code == 200, page.text
        target = re.search(r'<form method="post" action="([^"]+)"', page.text)
        assert target
        return visitor.post(action or target[1], {**hidden_fields(page), **fields})

    def mails(self) -> list[Mail]:
        self.queue.settle()
        return self.mailbox.mails()

    def link(self) -> str:
        """The path of the newest link that was mailed."""
        links = (re.search(re.escape(URL) + r"(/account/\S+)", mail.text) for mail in self.mails())
        return next(link[1] for link in links if link)

    def ask_reset(self, email: str = "ben@assoc.example") -> str:
        assert self.fill("/account/forgot-password", email=email).status_code == 200
        return self.link()

    def sign_in(self, username: str = "ada") -> tuple[Visitor, Session]:
        visitor = self.visitor()
        assert visitor.sign_in(visitor.get("/login"), username).status_code == 303
        (session,) = [each for each in self.house.sessions.list() if each.username == username]
        return visitor, session


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    mailbox = Mailbox()
    with receiving(mailbox) as port:
        made = World(tmp_path, mailbox, port)
        yield made
        made.queue.settle()
        made.store.close()


def twice(password: str = GOOD) -> dict[str, str]:
    return {"new_password": password, "again": password}


class TestForgotPassword:
    def test_a_link_by_mail_sets_a_new_password(self, world: World) -> None:
        done = world.fill(world.ask_reset(), **twice())
        assert "Your password is changed" in done.text
        assert world.registry.passwords == {"102": GOOD}

    def test_S83_the_page_is_the_same_whether_or_not_somebody_has_that_address(self, world: World) -> None:
        answers = [world.fill("/account/forgot-password", email=email) for email in ("ben@assoc.example", "no@assoc.example", "junk")]
        assert len({answer.text for answer in answers}) == 1
        assert {answer.status_code for answer in answers} == {200}
        assert [mail.to for mail in world.mails()] == ["ben@assoc.example"]

    @pytest.mark.parametrize("typed", ["ben", " BEN "])
    def test_the_user_name_will_do_and_the_link_goes_to_the_address_of_the_directory(self, world: World, typed: str) -> None:
        world.fill("/account/forgot-password", email=typed)
        (mail,) = world.mails()
        assert (mail.to, mail.subject) == ("ben@assoc.example", "Set a new password")

    @pytest.mark.parametrize("typed", ["dora", "nobody", "ben; twin", ""])
    def test_S83_a_user_name_without_a_mailbox_or_an_owner_gets_the_same_page(self, world: World, typed: str) -> None:
        known = world.fill("/account/forgot-password", email="ben").text
        assert world.fill("/account/forgot-password", email=typed).text == known
        assert [mail.to for mail in world.mails()] == ["ben@assoc.example"]

    def test_who_is_found_by_name_and_by_address_gets_one_link(self, world: World) -> None:
        world.house.members.by_id["102"] = replace(BEN, username="ben@assoc.example")
        world.fill("/account/forgot-password", email="ben@assoc.example")
        assert len(world.mails()) == 1

    def test_S83_nothing_is_asked_of_the_directory_before_the_page_is_answered(self, world: World) -> None:
        world.registry.find_by_email = lambda email: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        assert world.fill("/account/forgot-password", email="ben@assoc.example").status_code == 200
        assert world.mails() == []
        assert world.house.audit.of("mail.failed")[0]["cause"] == "mail.ZeroDivisionError"

    def test_S84_a_link_is_good_once(self, world: World) -> None:
        path = world.ask_reset()
        visitor = world.visitor()
        page = visitor.get(path)
        fields = {**hidden_fields(page), **twice()}
        assert visitor.post("/account/reset", fields).status_code == 200
        assert visitor.post("/account/reset", fields).status_code == 400
        assert world.visitor().get(path).status_code == 400

    def test_S84_of_many_at_once_one_gets_to_use_the_link(self, world: World) -> None:
        token = world.ask_reset().rpartition("/")[2]
        found = at_once(4, lambda number: world.desk.reset(token, Secret(f"{GOOD} {number}"), end_sessions=False))
        assert sum(isinstance(each, Subject) for each in found) == 1

    def test_S84_a_program_that_opens_the_link_does_not_use_it_up(self, world: World) -> None:
        path = world.ask_reset()
        for _ in range(3):
            assert world.visitor().get(path).status_code == 200
        assert "Your password is changed" in world.fill(path, **twice()).text

    def test_S84_a_link_lives_twenty_minutes(self, world: World) -> None:
        path = world.ask_reset()
        world.now.time += 1199
        assert world.visitor().get(path).status_code == 200
        world.now.time += 1
        assert world.visitor().get(path).status_code == 400

    def test_S84_the_store_keeps_no_link_that_works(self, world: World) -> None:
        token = world.ask_reset().rpartition("/")[2]
        assert token not in repr(world.store.list("link"))

    def test_S84_V53_the_host_of_the_link_is_the_configurations(self, world: World) -> None:
        visitor = world.visitor()
        page = visitor.get("/account/forgot-password")
        fields = {**hidden_fields(page), "email": "ben@assoc.example"}
        visitor.post("/account/forgot-password", fields, **{"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"})
        (mail,) = world.mails()
        assert f"{URL}/account/reset/" in mail.text
        assert "evil.example" not in mail.text + mail.html

    def test_S84_a_link_dies_with_the_account_as_it_was(self, world: World) -> None:
        path = world.ask_reset()
        ben = world.house.members.by_id["102"]
        world.house.members.by_id["102"] = replace(ben, attributes={**ben.attributes, "email": ("thief@evil.example",)})
        assert world.fill(path, **twice()).status_code == 400
        assert world.registry.passwords == {}

    def test_S84_another_link_of_the_account_dies_with_the_first(self, world: World) -> None:
        first, second = world.ask_reset(), world.ask_reset()
        world.fill(second, **twice())
        assert world.visitor().get(first).status_code == 400

    def test_two_people_with_one_address_get_a_link_each(self, world: World) -> None:
        world.fill("/account/forgot-password", email="ADA@assoc.example")
        assert sorted(re.findall(r"user name (\w+)", mail.text)[0] for mail in world.mails()) == ["ada", "twin"]

    def test_mail_goes_to_the_address_of_the_directory_and_to_no_look_alike(self, world: World) -> None:
        world.registry.find_by_email = lambda email: [ADA]  # type: ignore[method-assign]
        world.fill("/account/forgot-password", email="other@assoc.example")
        assert world.mails() == []

    def test_S49_the_reset_ends_all_sessions_by_choice(self, world: World) -> None:
        world.sign_in("ben")
        world.fill(world.ask_reset(), **twice())
        assert len(world.house.sessions.list()) == 1
        world.fill(world.ask_reset(), end_sessions="yes", **twice())
        assert world.house.sessions.list() == []

    def test_S89_the_owner_is_told_of_the_change(self, world: World) -> None:
        world.fill(world.ask_reset(), **twice())
        assert (world.mails()[0].subject, world.mails()[0].to) == ("Your password was changed", "ben@assoc.example")

    def test_what_the_directory_refuses_is_said_and_the_link_stays_good(self, world: World) -> None:
        path = world.ask_reset()
        world.registry.refusal = AccountRefused("directory.password_refused", "A password needs a number.")
        answer = world.fill(path, **twice())
        assert (answer.status_code, "A password needs a number." in answer.text) == (422, True)
        world.registry.refusal = DirectoryUnavailable("away")
        assert world.fill(path, **twice()).status_code == 503
        world.registry.refusal = None
        assert world.fill(path, **twice()).status_code == 200

    def test_S82_who_mistyped_too_often_may_sign_in_with_the_new_password_at_once(self, world: World) -> None:
        visitor = world.visitor()
        for _ in range(6):
            visitor.sign_in(visitor.get("/login"), "ben", "wrong")
        world.fill(world.ask_reset(), **twice())
        assert visitor.sign_in(visitor.get("/login"), "ben", PASSWORD).status_code == 303


class TestTheRules:
    def test_S81_the_rules_stand_on_the_page_before_the_first_try(self, world: World) -> None:
        page = world.visitor().get(world.ask_reset()).text
        assert "At least 15 characters" in page
        assert "letters and numbers" in page
        assert 'autocomplete="new-password"' in page

    @pytest.mark.parametrize("password", ["short", "a" * 40, "ababababababababab", "benbenbenben ben", "password1234567890", "x" * 257, ""])
    def test_S81_what_is_short_or_easy_to_guess_is_refused_and_the_link_stays_good(self, world: World, password: str) -> None:
        path = world.ask_reset()
        assert world.fill(path, **twice(password)).status_code == 422
        assert world.registry.passwords == {}
        assert world.fill(path, **twice()).status_code == 200

    @pytest.mark.parametrize("password", ["пятнадцать букв!", "all lower case and no digit", "🙂🙃😀😁😂🤣😃😄😅😆😉😊😋😎😍"])
    def test_S81_anything_long_will_do_without_rules_of_composition(self, password: str) -> None:
        PasswordRules(15).check(Secret(password), words=("ada", "Example Association"))

    def test_two_different_passwords_are_a_slip(self, world: World) -> None:
        assert world.fill(world.ask_reset(), new_password=GOOD, again=GOOD + "x").status_code == 422

    def test_no_password_comes_back_in_the_page(self, world: World) -> None:
        assert "short-canary" not in world.fill(world.ask_reset(), **twice("short-canary")).text


class TestForgotUserName:
    def test_S85_all_names_of_the_address_come_in_one_mail_and_none_on_the_page(self, world: World) -> None:
        page = world.fill("/account/forgot-username", email="ada@assoc.example")
        (mail,) = world.mails()
        assert re.findall(r"^  (\w+)$", mail.text, re.MULTILINE) == ["ada", "twin"]
        assert "twin" not in page.text

    def test_S83_whoever_is_unknown_gets_the_same_page_and_no_mail(self, world: World) -> None:
        known = world.fill("/account/forgot-username", email="ada@assoc.example").text
        assert world.fill("/account/forgot-username", email="no@assoc.example").text == known
        assert len(world.mails()) == 1


class TestCreateAccount:
    PERSON: ClassVar = {"first_name": "Cleo", "last_name": "New", "email": "cleo@new.example"}

    def test_the_address_is_confirmed_first(self, world: World) -> None:
        world.fill("/account/create", **self.PERSON)
        assert world.registry.made == []
        done = world.fill(world.link(), username="cleo", **twice())
        assert "Your account is ready" in done.text
        assert world.registry.made == [NewPerson("Cleo", "New", "cleo@new.example")]

    def test_S83_who_has_an_account_is_told_so_by_mail_alone(self, world: World) -> None:
        new = world.fill("/account/create", **self.PERSON).text
        assert "/account/confirm/" in world.mails()[0].text
        assert world.fill("/account/create", **{**self.PERSON, "email": "ben@assoc.example"}).text == new
        assert "ben" in world.mails()[0].text
        assert "/account/confirm/" not in world.mails()[0].text

    def test_nobody_can_have_us_mail_words_of_their_own(self, world: World) -> None:
        world.fill("/account/create", **{**self.PERSON, "first_name": "Win https://evil.example"})
        assert "evil.example" not in world.mails()[0].text + world.mails()[0].html

    def test_a_name_that_is_taken_is_said_to_whoever_has_confirmed_an_address(self, world: World) -> None:
        world.fill("/account/create", **self.PERSON)
        link = world.link()
        assert "is taken" in world.fill(link, username="ada", **twice()).text
        assert "Your account is ready" in world.fill(link, username="cleo", **twice()).text

    def test_a_second_link_makes_no_second_account(self, world: World) -> None:
        links = []
        for _ in range(2):
            world.fill("/account/create", **self.PERSON)
            links.append(world.link())
        world.fill(links[0], username="cleo", **twice())
        assert world.fill(links[1], username="cleo2", **twice()).status_code == 422
        assert len(world.registry.made) == 1

    @pytest.mark.parametrize("field", ["first_name", "last_name", "email"])
    def test_what_is_missing_is_said_and_the_rest_is_kept(self, world: World, field: str) -> None:
        answer = world.fill("/account/create", **{**self.PERSON, field: " "})
        assert answer.status_code == 422
        assert all(html.escape(value) in answer.text for name, value in self.PERSON.items() if name != field)

    def test_a_reset_link_confirms_nothing_and_the_other_way_round(self, world: World) -> None:
        token = world.ask_reset().rpartition("/")[2]
        assert world.visitor().get(f"/account/confirm/{token}").status_code == 400


class TestChangePassword:
    def fields(self, **changes: str) -> dict[str, str]:
        return {"password": PASSWORD, **twice(), **changes}

    def test_the_present_password_is_asked_and_the_new_one_set(self, world: World) -> None:
        visitor, _ = world.sign_in()
        assert "Your password is changed" in world.fill("/account/password", visitor, **self.fields()).text
        assert world.registry.passwords == {"101": GOOD}

    def test_S90_a_wrong_present_password_counts_like_a_failed_login(self, world: World) -> None:
        visitor, _ = world.sign_in()
        answers = [world.fill("/account/password", visitor, **self.fields(password="wrong")).status_code for _ in range(6)]
        assert answers == [401] * 5 + [429]
        assert world.registry.passwords == {}

    def test_other_sessions_end_by_choice_and_this_one_goes_on(self, world: World) -> None:
        visitor, here = world.sign_in()
        world.house.session("ada")
        world.fill("/account/password", visitor, **self.fields())
        assert len(world.house.sessions.of_subject("101")) == 2
        world.fill("/account/password", visitor, **self.fields(end_sessions="yes"))
        assert [each.id for each in world.house.sessions.of_subject("101")] == [here.id]

    def test_without_a_session_the_way_leads_to_the_sign_in_page(self, world: World) -> None:
        assert world.visitor().get("/account/password").location == f"{URL}/login"

    def test_U3_password_managers_find_the_page(self, world: World) -> None:
        assert world.visitor().get("/.well-known/change-password").location == "/account/password"


def _noted(act: Callable[..., Any], verb: str, asked: list[tuple[str, str]]) -> Callable[..., Any]:
    """The verb of the store, which is written down first."""

    def noted(kind: str, *arguments: Any, **keywords: Any) -> Any:
        asked.append((verb, kind))
        return act(kind, *arguments, **keywords)

    return noted


class TestEveryForm:
    PATHS = ("/account/forgot-password", "/account/forgot-username", "/account/create")

    @pytest.mark.parametrize("path", PATHS)
    def test_S120_no_other_site_can_send_it(self, world: World, path: str) -> None:
        world.visitor().post(path, {"email": "ben@assoc.example", "first_name": "a", "last_name": "b"})
        visitor = world.visitor()
        fields = {**hidden_fields(visitor.get(path)), "email": "ben@assoc.example", "first_name": "a", "last_name": "b"}
        visitor.post(path, fields, **{"Sec-Fetch-Site": "cross-site"})
        assert world.mails() == []

    @pytest.mark.parametrize(
        ("path", "known", "unknown"), [*((path, "ben@assoc.example", "no@assoc.example") for path in PATHS), (PATHS[0], "ben", "nob")]
    )
    def test_S83_the_same_is_asked_of_the_store_for_who_is_known_and_who_is_not(
        self, world: World, monkeypatch: pytest.MonkeyPatch, path: str, known: str, unknown: str
    ) -> None:
        asked: list[tuple[str, str]] = []
        for verb in ("put", "put_new", "get", "take", "change", "bump", "find", "list", "delete", "delete_where"):
            monkeypatch.setattr(world.store, verb, _noted(getattr(world.store, verb), verb, asked))
        events, work = [], []
        for who in (known, unknown):
            asked.clear()
            before = len(world.house.audit.lines)
            assert world.fill(path, email=who, first_name="A", last_name="B").status_code == 200
            work.append(list(asked))
            events.append([line["event"] for line in world.house.audit.lines[before:]])
        assert work[0] == work[1]
        assert ("put", "letter") in work[0]
        assert events[0] == events[1]

    @pytest.mark.parametrize("path", PATHS)
    def test_U5_it_works_without_a_script(self, world: World, path: str) -> None:
        assert "<script" not in world.visitor().get(path).text

    def test_S82_one_address_does_not_ask_without_end(self, tmp_path: Path) -> None:
        with receiving(box := Mailbox()) as port:
            world = World(tmp_path, box, port, requests_per_address=2)
            codes = [world.fill("/account/forgot-username", email=f"x{number}@assoc.example").status_code for number in range(3)]
            assert codes == [200, 200, 429]
            world.queue.settle()
            world.store.close()

    def test_S82_one_mailbox_is_not_flooded_and_nobody_is_told(self, world: World) -> None:
        codes = {world.fill("/account/forgot-password", email="ben@assoc.example").status_code for _ in range(5)}
        assert codes == {200}
        assert len(world.mails()) == 3

    def test_hostile_input_stays_text(self, world: World) -> None:
        answer = world.fill("/account/create", first_name="<script>alert(1)</script>", last_name="x", email='"><img src=x>')
        assert "<script" not in answer.text
        assert "<img" not in answer.text

    def test_a_mail_server_that_is_away_stops_no_page(self, tmp_path: Path) -> None:
        with receiving(Mailbox()) as port:
            pass
        world = World(tmp_path, Mailbox(), port)
        assert world.fill("/account/forgot-password", email="ben@assoc.example").status_code == 200
        assert world.mails() == []
        assert world.house.audit.of("mail.failed")[0]["cause"] == "mail.ConnectionRefusedError"
        world.store.close()
