"""Signing keys that are missing, small, old, or lie about."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from idp.clock import utc_now
from idp.keys import USES, KeyRing
from tests.doctor.house import USUAL, House

DAY = 86400


def a_ring(house: House, name: str, *, days_ago: int = 0) -> KeyRing:
    """A folder of its own, whose first key was made then."""
    house.put("keys", folder=f'"{name}"')
    ring = KeyRing(house.folder / name)
    ring.create_if_empty(now=lambda: utc_now() - days_ago * DAY)
    return ring


def test_U32_a_key_without_a_successor_is_named(house: House) -> None:
    a_ring(house, "alone")
    assert "keys.no_next" in house.said()


def test_U32_a_certificate_that_ends_soon_is_named(house: House) -> None:
    a_ring(house, "old", days_ago=3600)
    assert "keys.ending" in house.said()


def test_U32_a_small_key_that_signs_is_named_though_new_ones_are_large(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """We make none, but one may have been brought along from elsewhere."""
    monkeypatch.setattr("idp.keys.folder.generate", lambda *_, **__: rsa.generate_private_key(65537, 1024))
    a_ring(house, "small")
    assert "keys.small_current" in house.said()


@pytest.mark.parametrize(("years", "said"), [(2, False), (4, True)])
def test_U32_a_key_that_has_signed_for_more_than_three_years_is_named(house: House, years: int, said: bool) -> None:
    a_ring(house, "old", days_ago=years * 365)
    assert ("keys.old" in house.said()) is said


@pytest.mark.parametrize(("days", "said"), [(29, False), (33, True)])
def test_U32_a_retired_key_whose_file_lies_about_is_named(house: House, days: int, said: bool) -> None:
    KeyRing(house.folder / "keys").rotate()
    house.later = days * DAY
    assert ("keys.left_over" in house.said()) is said
    for use in USES:
        KeyRing(house.folder / "keys", use=use).retire()
    assert "keys.left_over" not in house.said()


def test_a_retired_key_that_an_application_names_is_not_left_over(house: House) -> None:
    ring = KeyRing(house.folder / "keys")
    old = ring.current.kid
    ring.rotate()
    own = f'{{ entity_id = "urn:old", acs = "https://old.example.org/acs", signing_key = "{old}" }}'
    house.put("clients.old", saml=own)
    house.later = 33 * DAY
    assert "keys.left_over" not in house.said()


@pytest.mark.parametrize(("days", "said"), [(90, False), (92, True)])
def test_U32_a_calendar_that_nobody_keeps_is_named(house: House, days: int, said: bool) -> None:
    house.put("keys", calendar='["oidc"]')
    house.later = days * DAY
    assert ("keys.overdue" in house.said()) is said


def test_U32_a_pairwise_secret_that_others_can_read_is_named(tmp_path: Path, house: House) -> None:
    KeyRing(tmp_path / "keys").pairwise("x")
    assert house.said() == USUAL
    (tmp_path / "keys" / "pairwise.secret").chmod(0o644)
    assert "keys.pairwise" in house.said()


def test_U32_a_key_folder_that_others_may_write_to_is_named(tmp_path: Path, house: House) -> None:
    (tmp_path / "keys").chmod(0o770)
    assert "keys.folder_open" in house.said()


@pytest.mark.parametrize(("calendar", "said"), [('["oidc"]', True), ("[]", False)])
def test_U32_a_key_folder_that_the_calendar_cannot_write_to_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch, calendar: str, said: bool
) -> None:
    """As root everything can be written to, so the answer is given for the system."""
    house.put("keys", calendar=calendar)
    assert "keys.read_only" not in house.said()
    monkeypatch.setattr("os.access", lambda path, mode: path != house.folder / "keys")
    assert ("keys.read_only" in house.said()) is said


@pytest.mark.parametrize(("life", "said"), [('"1d"', False), ('"23h"', True)])
def test_U32_a_replaced_key_that_is_dropped_within_a_day_is_named(house: House, life: str, said: bool) -> None:
    house.put("keys", retired_life=life)
    assert ("keys.dropped_early" in house.said()) is said


@pytest.mark.parametrize(("calendar", "life", "said"), [('["oidc"]', 299, True), ('["oidc"]', 300, False), ("[]", 299, False)])
def test_U32_a_new_key_that_signs_before_vendors_look_is_named(house: House, calendar: str, life: int, said: bool) -> None:
    house.put("keys", calendar=calendar, next_life=str(life))
    assert ("keys.signs_early" in house.said()) is said
