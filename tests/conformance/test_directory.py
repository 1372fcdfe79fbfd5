"""What every directory promises (`idp/directory/__init__.py`), asked of the people file and of a simulated iMIS over HTTP alike.

Both generations of iMIS, and several directories in order, show the same people as the file does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from idp.demo.imis import SimulatorSettings
from idp.directory import STANDARD_ATTRIBUTES, Attributes, Directory, DirectoryUnavailable, NameFinder, Subject
from idp.directory.choice import DirectorySettings, open_directory
from idp.directory.people_file import Person, read_people
from idp.secret import Secret
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import DEMO, PEOPLE, SERVICE, Clock, rest_settings, simulated_imis, soap_settings

EVERYBODY = read_people(PEOPLE)
MEMBERS = [person for person in EVERYBODY if person.has_login and person.active and not person.locked and person.username != "idp-service"]
ODD_IDS = [
    "",
    " ",
    ".",
    "..",
    "../1001",
    "1001/..",
    "1001?x=1",
    "1001#",
    "%31001",
    "1001 ",
    "~1001",
    "\ud800",
    "x" * 500,
    "1001\0",
    "0" * 64,
]
ODD_NAMES = [
    "",
    " ",
    "ada\0",
    "\ud800",
    "a" * 10_000,
    "eq:ada",
    "gt:a",
    "*",
    "%",
    "ada' OR '1'='1",
    "ada@mail.example",
    "Ada Marlowe",
    "1001",
]


@dataclass(frozen=True)
class Bench:
    """A directory of the demo's people, and ways to change and to break what is behind it."""

    directory: Directory
    disable: Callable[[str], None]
    break_it: Callable[[], None]
    mend_it: Callable[[], None]
    roles_at_sign_in_only: bool = False
    """Whether roles are not known before somebody has signed in (facts on iMIS, 7.2)."""


def _people_bench(folder: Path, store: SqliteStore, clock: Clock) -> Iterator[Bench]:
    file = folder / "people.toml"
    file.write_bytes(PEOPLE.read_bytes())

    def disable(person_id: str) -> None:
        file.write_text(file.read_text().replace(f'id = "{person_id}"', f'id = "{person_id}"\nactive = false'))

    settings = DirectorySettings.model_validate({"kind": "people", "people": file})
    directory = open_directory(settings, store=store, now=clock)
    yield Bench(directory, disable, lambda: _write(file, "[[people]"), lambda: _write(file, PEOPLE.read_text()))


def _imis(
    simulated: SimulatorSettings,
    settings: Callable[[str, Path], DirectorySettings],
    _: Path,
    store: SqliteStore,
    clock: Clock,
) -> Iterator[Bench]:
    with simulated_imis(settings=simulated, now=clock) as imis:
        chosen = settings(imis.url, PEOPLE)
        yield Bench(
            open_directory(chosen, store=store, now=clock),
            lambda person_id: imis.change(person_id, active=False),
            lambda: imis.order("html200"),
            lambda: imis.order("none"),
            roles_at_sign_in_only=chosen.kind == "imis-soap",
        )


def _with_staff(url: str, people: Path) -> DirectorySettings:
    """Members in iMIS, and the file as staff, whose ids have a prefix."""
    members = {"kind": "imis-rest", "site_url": url, "allow_http": True, "service_username": SERVICE, "service_password": DEMO}
    staff = {"kind": "people", "people": people, "prefix": "staff:", "only_names": ["*@staff.example.org"]}
    return DirectorySettings.model_validate({"kind": "several", "named": {"members": members, "staff": staff}})


_OLD = SimulatorSettings(generation="2017", bare_arrays=True, false_members=False)
BENCHES: Mapping[str, Callable[[Path, SqliteStore, Clock], Iterator[Bench]]] = {
    "people": _people_bench,
    "imis-rest": partial(_imis, SimulatorSettings(), lambda url, _: rest_settings(url)),
    "imis-rest-grant": partial(_imis, SimulatorSettings(remote_service_role=""), lambda url, _: rest_settings(url, check="password_grant")),
    "imis-soap": partial(_imis, _OLD, lambda url, _: soap_settings(url)),
    "imis-soap-login": partial(_imis, _OLD, lambda url, _: soap_settings(url, soap_check="LoginUser")),
    "several": partial(_imis, SimulatorSettings(), _with_staff),
}


def _write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    clock = Clock()
    with contextlib.closing(SqliteStore(tmp_path / "store.sqlite", now=clock)) as store:
        yield from BENCHES[request.param](tmp_path, store, clock)


@pytest.fixture
def directory(bench: Bench) -> Directory:
    return bench.directory


def standard(subject: Subject | None) -> Attributes:
    """The attributes whose names all directories share; the GUID is iMIS's own."""
    assert subject is not None
    return {name: values for name, values in subject.attributes.items() if name in STANDARD_ATTRIBUTES and name != "uniform_id"}


def in_file(username: str) -> Person:
    return next(person for person in EVERYBODY if person.username == username)


def test_the_right_password_gives_the_person(directory: Directory) -> None:
    ada = directory.authenticate("ada", DEMO)
    assert ada is not None
    assert (ada.id, ada.username, ada.active) == ("1001", "ada", True)
    assert ada.attributes["email"] == ("ada@mail.example",)


def test_every_member_signs_in_with_what_the_file_says_of_them(directory: Directory) -> None:
    for person in MEMBERS:
        found = directory.authenticate(person.username, DEMO)
        assert standard(found) == standard(person.subject()), person.username
        assert found is not None
        assert found.id == person.id


def test_find_and_authenticate_tell_the_same(directory: Directory) -> None:
    ben = directory.authenticate("ben", DEMO)
    assert ben is not None
    assert directory.find("1002") == ben


def test_find_knows_everybody_who_signs_in_or_not(bench: Bench) -> None:
    for person in EVERYBODY:
        found = bench.directory.find(person.id)
        unknown = {"roles"} if bench.roles_at_sign_in_only else set()
        expected = {name: values for name, values in standard(person.subject()).items() if name not in unknown}
        assert standard(found) == expected, person.id
        assert found is not None
        assert found.active == person.subject().active


@pytest.mark.parametrize("typed", ["ADA", "Ada", " ada ", "ａｄａ"])
def test_a_user_name_may_be_typed_in_any_case_and_width(directory: Directory, typed: str) -> None:
    found = directory.authenticate(typed, DEMO)
    assert found is not None
    assert found.username == "ada"


@pytest.mark.parametrize("typed", ["ελένη", "ΕΛΈΝΗ"])
def test_a_greek_user_name_may_be_typed_in_any_case(directory: Directory, typed: str) -> None:
    found = directory.authenticate(typed, DEMO)
    assert found is not None
    assert found.id == "1008"


@pytest.mark.parametrize("password", ["Demo", "demo ", " demo", "demo\0", "demo" * 1000, "\ud800", "dem"])
def test_a_wrong_password_is_none(directory: Directory, password: str) -> None:
    assert directory.authenticate("ada", Secret(password)) is None


def test_an_empty_password_is_none(directory: Directory) -> None:
    for username in ("ada", "Quentin", "1013", ""):
        assert directory.authenticate(username, Secret("")) is None


@pytest.mark.parametrize("username", ODD_NAMES)
def test_S83_an_unknown_user_name_is_none_whatever_is_in_it(directory: Directory, username: str) -> None:
    assert directory.authenticate(username, DEMO) is None


@pytest.mark.parametrize("subject_id", ODD_IDS)
def test_S41_an_id_that_nobody_has_is_none_whatever_is_in_it(directory: Directory, subject_id: str) -> None:
    assert directory.find(subject_id) is None


def test_S49_a_disabled_login_cannot_sign_in_and_is_found_inactive(directory: Directory) -> None:
    assert directory.authenticate("viktor", DEMO) is None
    viktor = directory.find("1014")
    assert viktor is not None
    assert not viktor.active


def test_S49_a_login_that_is_disabled_now_is_inactive_at_once(bench: Bench) -> None:
    assert bench.directory.authenticate("ada", DEMO) is not None
    bench.disable("1001")
    assert bench.directory.authenticate("ada", DEMO) is None
    ada = bench.directory.find("1001")
    assert ada is not None
    assert not ada.active


def test_a_locked_login_cannot_sign_in_but_its_sessions_may_go_on(directory: Directory) -> None:
    assert directory.authenticate("lock", DEMO) is None
    loretta = directory.find("1015")
    assert loretta is not None
    assert loretta.active


def test_a_contact_without_a_login_is_found_inactive(directory: Directory) -> None:
    quentin = directory.find("1013")
    assert quentin is not None
    assert (quentin.username, quentin.active) == ("", False)
    assert "username" not in quentin.attributes


def test_S39_leading_zeros_make_another_id(directory: Directory) -> None:
    zoe, oscar = directory.find("00101"), directory.find("101")
    assert zoe is not None
    assert oscar is not None
    assert (zoe.id, zoe.username, zoe.attributes["imis_id"]) == ("00101", "zoe", ("00101",))
    assert (oscar.id, oscar.username, oscar.attributes["imis_id"]) == ("101", "oscar", ("101",))
    assert directory.find("0101") is None


def test_two_who_share_an_email_address_are_two(directory: Directory) -> None:
    pat, robin = directory.authenticate("pat", DEMO), directory.authenticate("robin", DEMO)
    assert pat is not None
    assert robin is not None
    assert pat.attributes["email"] == robin.attributes["email"]
    assert pat.id != robin.id
    assert directory.authenticate("novak.family@mail.example", DEMO) is None


def test_a_user_name_may_be_an_email_address_other_than_the_primary_one(directory: Directory) -> None:
    kim = directory.authenticate("KIM.park@work.example", DEMO)
    assert kim is not None
    assert kim.attributes["email"] == ("kim@mail.example",)


@pytest.mark.parametrize("typed", ["ben", " BEN "])
def test_a_person_is_found_by_user_name_as_by_id(directory: Directory, typed: str) -> None:
    assert isinstance(directory, NameFinder)
    directory.authenticate("ben", DEMO)  # without REST, iMIS 2017 knows only those who have signed in
    assert directory.find_by_username(typed) == directory.find("1002")


def test_a_disabled_login_is_found_by_user_name_and_is_inactive(directory: Directory) -> None:
    assert isinstance(directory, NameFinder)
    viktor = directory.find_by_username("viktor")
    assert viktor is not None
    assert not viktor.active


@pytest.mark.parametrize("username", [*ODD_NAMES, "Quentin", "1013", "ada@mail.example"])
def test_S83_a_user_name_that_nobody_has_is_found_nowhere(directory: Directory, username: str) -> None:
    assert isinstance(directory, NameFinder)
    assert directory.find_by_username(username) is None


def test_dates_are_days_and_the_year_one_is_none(directory: Directory) -> None:
    nina = directory.find("1018")
    assert nina is not None
    assert nina.attributes["join_date"] == ("2025-09-01",)
    assert "paid_through" not in nina.attributes


def test_markup_comes_through_as_it_is(directory: Directory) -> None:
    markup = directory.find("1016")
    assert markup is not None
    assert markup.attributes["company"] == ("<b>&\"'",)
    assert markup.attributes["title"] == ("</saml:AttributeValue><script>alert(1)</script>",)


def test_names_of_all_scripts_and_lengths_come_through(directory: Directory) -> None:
    names = {person.id: person.subject().attributes["full_name"] for person in EVERYBODY}
    assert max(len(name) for (name,) in names.values()) == 200
    for person_id in ("1005", "1006", "1007", "1008", "1009", "1010"):
        found = directory.find(person_id)
        assert found is not None
        assert found.attributes["full_name"] == names[person_id]


def test_only_present_committees_are_told(directory: Directory) -> None:
    ben = directory.find("1002")
    assert ben is not None
    assert ben.attributes["committees"] == ("Board of Directors", "Education Committee", "Finance Committee")


def test_what_is_absent_has_no_name_and_every_value_is_a_text(directory: Directory) -> None:
    for person in EVERYBODY:
        found = directory.find(person.id)
        assert found is not None
        assert all(values and all(isinstance(value, str) and value for value in values) for values in found.attributes.values())


def test_many_sign_in_at_once_and_each_is_themselves(directory: Directory) -> None:
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda person: directory.authenticate(person.username, DEMO), MEMBERS * 3))
    assert [subject.id if subject else None for subject in found] == [person.id for person in MEMBERS * 3]


def test_F12_what_is_broken_is_unavailable_and_never_a_wrong_password(bench: Bench) -> None:
    bench.break_it()
    for ask in (lambda: bench.directory.authenticate("ada", DEMO), lambda: bench.directory.find("1001"), bench.directory.check):
        with pytest.raises(DirectoryUnavailable) as caught:
            ask()
        assert caught.value.received
    bench.mend_it()
    assert bench.directory.authenticate("ada", DEMO) is not None


def test_check_says_in_a_sentence_what_answers(directory: Directory) -> None:
    assert directory.check().endswith(".")


def test_G_S7_a_directory_does_not_print_a_password(directory: Directory, tmp_path: Path) -> None:
    assert "demo" not in repr(in_file("ada"))
    assert "'demo'" not in repr(vars(directory))
