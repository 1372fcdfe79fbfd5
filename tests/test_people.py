"""The people file: what it may say, and what is said of one that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idp.directory import DirectoryUnavailable
from idp.directory.choice import DirectorySettings
from idp.directory.credential import ScryptPassword, hash_password, read_hash
from idp.directory.people import PeopleDirectory
from idp.errors import ConfigError
from idp.secret import Secret
from tests.simulated_imis import PEOPLE

ADA = '[[people]]\nid = "1"\nusername = "ada"\npassword = "canary"\n'


def directory_of(folder: Path, text: str) -> PeopleDirectory:
    file = folder / "people.toml"
    file.write_text(text, encoding="utf-8")
    return PeopleDirectory(file)


def problem_of(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        directory_of(folder, text)
    assert "canary" not in str(caught.value)
    return "\n".join(caught.value.problems)


def test_a_table_may_be_named_after_its_user(tmp_path: Path) -> None:
    ada = directory_of(tmp_path, '[people.ada]\npassword = "canary"\nemail = "ada@mail.example"\n').authenticate("Ada", Secret("canary"))
    assert ada is not None
    assert (ada.id, ada.username) == ("ada", "ada")
    assert ada.attributes == {"imis_id": ("ada",), "username": ("ada",), "email": ("ada@mail.example",)}


def test_numbers_truths_and_dates_become_texts(tmp_path: Path) -> None:
    more = 'points = 7\nshare = 0.5\nvoter = true\njoin_date = 2019-03-07\nroles = ["A", 2]\nempty = ""\nnone = []\n'
    ada = directory_of(tmp_path, ADA + more).find("1")
    assert ada is not None
    assert [ada.attributes[name] for name in ("points", "share", "voter", "join_date")] == [("7",), ("0.5",), ("true",), ("2019-03-07",)]
    assert ada.attributes["roles"] == ("A", "2")
    assert not {"empty", "none"} & ada.attributes.keys()


def test_the_full_name_is_made_from_the_others_only_if_it_is_not_given(tmp_path: Path) -> None:
    names = 'first_name = "Ada"\nlast_name = "Marlowe"\n'
    assert directory_of(tmp_path, ADA + names).find("1").attributes["full_name"] == ("Ada Marlowe",)  # type: ignore[union-attr]
    assert directory_of(tmp_path, ADA + names + 'full_name = "A. M."\n').find("1").attributes["full_name"] == ("A. M.",)  # type: ignore[union-attr]


def test_two_people_of_one_id_are_both_named(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, ADA + '\n[[people]]\nid = "1"\nusername = "ben"\npassword = "canary"\n')
    assert 'two people have the id "1": entry 1 (line 1) and entry 2 (line 6)' in problem


def test_two_people_of_one_user_name_in_other_letters_are_both_named(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, ADA + '\n[[people]]\nid = "2"\nusername = "ADA"\npassword = "canary"\n')
    assert 'two people have the user name "ada": entry 1 (line 1) and entry 2 (line 6)' in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[people]\n", "line 1"),
        ("", "no [[people]]"),
        ("people = 5\n", "entry 1: a person is a table"),
        ("people = [5]\n", "entry 1: a person is a table"),
        ("[people]\nada = 5\n", "[people.ada]: a person is a table"),
        ('[[people]]\nfirst_name = "Nobody"\n', "entry 1 (line 1): a person needs an id or a username"),
        ('[[people]]\nid = "1"\nusername = "ada"\n', "a username without a password"),
        ('[[people]]\nid = "1"\npassword = "canary"\n', "a password without a username"),
        (ADA + 'active = "yes"\n', "active is true or false"),
        (ADA + "locked = 1\n", "locked is true or false"),
        (ADA + "[people.address]\ncity = 'X'\n", "address is a text or a list of texts"),
        (ADA + 'imis_id = "2"\n', "write id"),
        (ADA + 'password_hash = "scrypt$canary"\n', "give one of them"),
        ('[[people]]\nusername = "ada"\npassword_hash = "scrypt$canary"\n', "a password_hash looks like"),
        ('[[people]]\nusername = "ada"\npassword_hash = "scrypt$1073741824$8$1$AAAA$AAAA"\n', "at most 256 MB"),
        ('[[people]]\nusername = "ada"\npassword = ""\n', "a password is a text that is not empty"),
        ('[[people]]\nusername = "ada"\npassword = 12345\n', "a password is a text that is not empty"),
    ],
)
def test_U32_a_problem_says_its_entry_and_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem_of(tmp_path, text)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    assert problem_of(tmp_path, ADA + "active = 1\n[[people]]\n[[people]]\nlocked = 1\n").count("\n") == 2


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        PeopleDirectory(tmp_path / "people.toml")


def test_the_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    directory = directory_of(tmp_path, ADA)
    (tmp_path / "people.toml").write_text(ADA.replace("canary", "other"))
    assert directory.authenticate("ada", Secret("canary")) is None
    assert directory.authenticate("ada", Secret("other")) is not None


def test_F30_a_change_that_cannot_be_read_is_unavailable_until_it_is_mended(tmp_path: Path) -> None:
    directory = directory_of(tmp_path, ADA)
    (tmp_path / "people.toml").write_text(ADA + "active = 1\n")
    for _ in range(2):
        with pytest.raises(DirectoryUnavailable) as caught:
            directory.find("1")
        assert "active is true or false" in caught.value.received
    (tmp_path / "people.toml").write_text(ADA)
    assert directory.find("1") is not None


def test_F30_a_file_that_went_away_is_unavailable(tmp_path: Path) -> None:
    directory = directory_of(tmp_path, ADA)
    os.remove(tmp_path / "people.toml")
    with pytest.raises(DirectoryUnavailable):
        directory.authenticate("ada", Secret("canary"))


def test_a_hashed_password_is_good_for_itself_alone(tmp_path: Path) -> None:
    text = f'[[people]]\nusername = "ada"\npassword_hash = "{hash_password(Secret("canary"))}"\n'
    directory = directory_of(tmp_path, text)
    assert directory.authenticate("ada", Secret("canary")) is not None
    assert directory.authenticate("ada", Secret("Canary")) is None


def test_a_hash_is_its_own_text() -> None:
    made = hash_password(Secret("canary"))
    assert read_hash(str(made)) == made
    assert str(hash_password(Secret("canary"))) != str(made)


def test_S83_a_stranger_costs_as_many_hashes_as_a_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'{ADA}[[people]]\nid = "2"\nusername = "ben"\npassword_hash = "{hash_password(Secret("canary"))}"\n'
    directory = directory_of(tmp_path, text)
    spent: list[str] = []
    matches = ScryptPassword.matches

    def count(self: ScryptPassword, password: Secret) -> bool:
        spent.append(asked)
        return matches(self, password)

    monkeypatch.setattr(ScryptPassword, "matches", count)
    for asked in ("ada", "ben", "nobody"):
        directory.authenticate(asked, Secret("wrong"))
    assert spent == ["ada", "ben", "nobody"]


def test_the_demo_has_the_people_that_make_trouble() -> None:
    directory = PeopleDirectory(PEOPLE)
    assert "24 people" in directory.check()
    assert PEOPLE.read_text(encoding="utf-8").index('username = "ada"') < PEOPLE.read_text(encoding="utf-8").index('username = "ben"')


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "people"}, "name the file"),
        ({"kind": "imis-rest"}, "site_url is missing"),
        ({"kind": "imis-rest", "site_url": "http://imis.example"}, "allow_http"),
        ({"kind": "imis-rest", "site_url": "imis.example"}, "begins with"),
        ({"kind": "imis-rest", "site_url": "https://canary:canary@imis.example"}, "no user name"),
        ({"kind": "imis-rest", "site_url": "https://imis.example?x"}, "no query"),
        ({"kind": "imis-rest", "site_url": "https://imis.example", "service_password": "canary"}, "never in the clear"),
        ({"kind": "imis-rest", "validate_user_arguments": ["{username}"]}, "needs {username} and {password}"),
        ({"kind": "imis-rest", "call_timeout": 0}, "greater than 0"),
        ({"kind": "imis-rest", "token_path": "token"}, 'begins with "/"'),
        ({"kind": "ldap"}, "people"),
    ],
)
def test_U32_settings_that_cannot_work_say_why(table: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        DirectorySettings.model_validate(table)
    assert said in str(caught.value)
