"""Two versions on one store (F5): what a newer one wrote an older one reads, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from idp.directory import NewPerson
from idp.keys.witness import Witness
from idp.protocols.saml.assertion import NameId
from idp.protocols.saml.name_id import Policy
from idp.protocols.saml.reader import Reading
from idp.protocols.saml.source.shelf import Copy, Note
from idp.sso.answer import SharedCookie
from idp.sso.entrance import Entrance
from idp.sso.logout import Beginning, Row
from idp.sso.protocol import SignOnRequest
from idp.sso.session import Participant, Session, Sessions, SessionSettings
from idp.store.lease import Hold
from idp.store.reading import read_as
from idp.store.sqlite import SqliteStore
from tests.standin import Clock

NEEDED: Mapping[type, frozenset[str]] = {
    Session: frozenset({"id", "subject_id", "username", "auth_time", "login_id", "ends", "last_seen"}),
    Participant: frozenset({"client_id", "protocol"}),
    SignOnRequest: frozenset({"protocol", "client_id"}),
    Row: frozenset({"client_id", "state"}),
    Beginning: frozenset({"protocol", "client_id"}),
    SharedCookie: frozenset({"name"}),
    Entrance: frozenset({"client_id", "door", "request_id", "since"}),
    NewPerson: frozenset({"first_name", "last_name", "email"}),
    Reading: frozenset({"client_id", "address", "agent", "at", "kids"}),
    Copy: frozenset({"entity_id", "taken", "xml"}),
    Note: frozenset(),
    NameId: frozenset({"format", "value"}),
    Policy: frozenset(),
    Hold: frozenset({"holder", "until"}),
    Witness: frozenset({"use", "host", "kids"}),
}
"""The fields that stood in the first released record of each type. Whatever comes later has a default."""


def needed_now(kind: type) -> frozenset[str]:
    return frozenset(each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING)


@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: kind.__name__)
def test_F5_a_field_added_to_a_stored_type_has_a_default(kind: type) -> None:
    assert needed_now(kind) == NEEDED[kind]


@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: kind.__name__)
def test_F5_a_field_of_a_newer_version_is_passed_over(kind: type) -> None:
    record: dict[str, Any] = dict.fromkeys(needed_now(kind), "x")
    assert read_as(kind, {**record, "from_the_future": [1]}) == kind(**record)


def test_F5_a_field_of_a_newer_version_outlives_an_older_worker_that_touches_the_session(tmp_path: Path) -> None:
    store, now = SqliteStore(tmp_path / "store.sqlite"), Clock()
    sessions = Sessions(store, SessionSettings(), now=now)
    from_old = {name: name for name in ("subject_id", "username", "login_id")}
    record = {**from_old, "id": "s", "auth_time": 1, "ends": now() + 9999, "last_seen": now(), "methods": ["pwd"], "participants": []}
    store.put("session", "s", {**record, "from_the_future": 7}, expires=None)
    assert sessions.join("s", Participant("lms", "saml", {}))
    stored = store.get("session", "s")
    assert stored is not None
    assert stored.record["from_the_future"] == 7
    session = sessions.get("s")
    assert session is not None
    assert session.participant("lms") is not None
    store.close()
