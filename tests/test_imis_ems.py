"""iMIS EMS as a client: what it is told of who is staff, who is not, and by which id it knows a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from idp.config import load
from idp.directory import Subject
from idp.protocols.oidc.claim import claims_of
from idp.sso.client import Client

TABLE = {"bridge": "imis-ems", "secret_sha256": ["0" * 64], "oidc": {"redirect_uris": ["https://members.example.org/callback"]}}


@pytest.fixture
def imis(tmp_path: Path) -> Client:
    text = '[server]\nurl = "https://login.example.org"\n[directory]\nkind = "people"\npeople = "people.toml"\n'
    (tmp_path / "idp.toml").write_text(text)
    return load(tmp_path / "idp.toml", {}).read_client("imis", TABLE)


def claims(imis: Client, **attributes: tuple[str, ...]) -> dict[str, object]:
    subject = Subject("staff:00101", "zoe", {"imis_id": ("00101",), "email": ("zoe@mail.example",), **attributes})
    return claims_of(imis.release, imis.release.apply(subject))


def test_staff_is_1_for_whoever_has_the_role(imis: Client) -> None:
    assert claims(imis, roles=("Member", "SysAdmin"))["staff"] == "1"


@pytest.mark.parametrize("roles", [(), ("Member",), ("sysadmin of nothing",)])
def test_nobody_else_has_the_claim_at_all(imis: Client, roles: tuple[str, ...]) -> None:
    assert "staff" not in claims(imis, roles=roles)


def test_S39_the_external_id_keeps_its_leading_zeros(imis: Client) -> None:
    assert claims(imis)["external_id"] == "00101"
