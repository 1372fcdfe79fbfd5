"""A secret prints as stars wherever it is put, and compares in constant time."""

from __future__ import annotations

import json
import logging
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError

from idp.errors import new_reference
from idp.secret import Secret, digest, new_id, new_secret
from idp.settings import Duration, SecretSetting, Settings

CANARY = "canary-7f3a"


@dataclass
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        f"{Secret(CANARY)}",
        f"{Secret(CANARY)!r}",
        str([Secret(CANARY)]),
        str({"password": Secret(CANARY)}),
        str(Holder(Secret(CANARY))),
        "%s" % Secret(CANARY),  # noqa: UP031  as logging does it
        str(ValueError(Secret(CANARY))),
        json.dumps({"password": Secret(CANARY)}, default=str),
    ],
)
def test_G_S10_it_prints_as_stars(shown: str) -> None:
    assert CANARY not in shown
    assert "***" in shown


def test_G_S10_a_log_and_a_traceback_show_stars_too(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    with caplog.at_level(logging.DEBUG):
        try:
            raise ValueError(secret)
        except ValueError:
            logging.getLogger("idp").exception("it was %s", secret)
            shown = traceback.format_exc()
    assert CANARY not in caplog.text + shown


def test_reveal_is_the_way_to_its_value() -> None:
    assert Secret(CANARY).reveal() == CANARY
    assert not hasattr(Secret(CANARY), "__dict__")


def test_S27_it_matches_its_own_digest_alone() -> None:
    assert Secret(CANARY).matches(digest(CANARY))
    assert not Secret(CANARY).matches(digest("other"))
    assert not Secret(CANARY).matches(CANARY)
    assert not Secret(CANARY).matches("")
    assert not Secret(CANARY).matches("é")


def test_equal_secrets_are_equal_and_equal_to_nothing_else() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert not Secret("")


def test_half_a_surrogate_pair_is_a_wrong_secret_and_no_failure() -> None:
    r"""JSON can bring one ("\ud800"), and UTF-8 cannot write it."""
    assert not Secret("\ud800").matches(digest("other"))
    assert Secret("\ud800") != Secret("x")
    assert Secret("\ud800").matches(digest("\ud800"))


def test_G_S7_fresh_values_are_long_and_differ() -> None:
    assert len({new_secret() for _ in range(200)}) == len({new_id() for _ in range(200)}) == 200
    assert len(new_secret()) == 43  # 256 bits
    assert len(new_id()) == 33  # an underscore, as an XML ID must not begin with a digit, and 128 bits


def test_U9_a_reference_can_be_read_aloud() -> None:
    references = "".join(new_reference() for _ in range(200))
    assert set(references) <= set("23456789ABCDEFGHJKMNPQRSTVWXYZ-")
    assert len(new_reference()) == 9


class Vault(Settings):
    """Settings with a secret and a duration."""

    key: SecretSetting
    life: Duration = 60


def test_a_secret_is_read_from_the_environment_or_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    (tmp_path / "key").write_text(f"{CANARY}\n", encoding="utf-8")
    for given in ({"env": "CANARY"}, {"file": "key"}, {"file": str(tmp_path / "key")}):
        vault = Vault.model_validate({"key": given}, context={"folder": tmp_path})
        assert vault.key.reveal() == CANARY
        assert CANARY not in f"{vault!r} {vault.model_dump()} {vault.model_dump_json()}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (CANARY, "never in the clear"),
        ({"env": "NOT_THERE"}, "NOT_THERE is not set"),
        ({"env": "EMPTY"}, "EMPTY is empty"),
        ({"file": "not-there"}, "not-there cannot be read: No such file"),
        ({"file": "empty"}, "empty is empty"),
        ({"file": "binary"}, "binary is not UTF-8"),
        ({"file": "."}, "cannot be read: Is a directory"),
        ({"env": "A", "file": "b"}, "never in the clear"),
        ([CANARY], "never in the clear"),
    ],
)
def test_G_S10_a_secret_that_cannot_be_read_is_explained_without_a_letter_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: object, said: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + CANARY.encode())
    with pytest.raises(ValidationError) as caught:
        Vault.model_validate({"key": given}, context={"folder": tmp_path})
    assert said in str(caught.value)
    assert CANARY not in str(caught.value)
    assert "0xff" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800), ("45", 45), (" 5 m ", 300), (7, 7)]
)
def test_a_duration_is_a_number_of_seconds_or_a_text_with_a_unit(text: object, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    assert Vault.model_validate({"key": {"env": "CANARY"}, "life": text}).life == seconds


@pytest.mark.parametrize("text", ["", "m", "-5", "1.5h", "5 weeks", -1, "99999999999d", None])
def test_what_is_no_duration_is_refused(text: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    with pytest.raises(ValidationError):
        Vault.model_validate({"key": {"env": "CANARY"}, "life": text})
