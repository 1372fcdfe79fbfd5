"""A change of key in three steps, for SAML and for everything else apart: publish the next, activate it, retire the old."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from idp import keys as module
from idp.keys import EllipticKey, KeyProblem, KeyRing

NOON = 1_800_000_000
DAY = 86400


class Clock:
    def __init__(self) -> None:
        self.seconds = NOON

    def __call__(self) -> int:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)  # in place of waiting for a second
    return Clock()


@pytest.fixture
def saml(tmp_path: Path, clock: Clock) -> KeyRing:
    ring = KeyRing(tmp_path / "keys", use="saml", now=clock)
    ring.create()
    return ring


def states(ring: KeyRing) -> list[str]:
    return [key.state for key in ring.published]


def test_S38_G_R7_a_rollover_is_published_activated_and_retired(saml: KeyRing) -> None:
    old = saml.current.kid
    new = saml.publish().kid
    assert (saml.current.kid, [key.kid for key in saml.published]) == (old, [old, new])
    saml.activate()
    assert [(key.kid, key.state) for key in saml.published] == [(new, "current"), (old, "retired")]
    assert saml.retire() == (old,)
    assert [key.kid for key in saml.published] == [new]


def test_a_step_that_was_taken_already_is_not_taken_twice(saml: KeyRing, clock: Clock) -> None:
    first = saml.publish()
    clock.seconds += 5
    second = saml.publish()
    assert (second.kid, second.since) == (first.kid, NOON)


def test_without_a_next_key_nothing_is_activated_and_the_sentence_says_what_to_run(saml: KeyRing) -> None:
    with pytest.raises(KeyProblem, match="idp keys rotate saml --publish"):
        saml.activate()
    assert states(saml) == ["current"]


def test_saml_changes_its_key_and_the_tokens_keep_theirs(saml: KeyRing) -> None:
    tokens = saml.of("oidc")
    old = tokens.current.kid
    saml.publish()
    saml.activate()
    assert (tokens.current.kid, states(tokens)) == (old, ["current"])
    assert saml.retire() == (old,)
    assert tokens.current.kid == old, "its file is still there: the other use signs with it"
    assert tokens.jwks()["keys"][0]["kid"] == old


def test_a_retired_key_without_another_use_leaves_no_file(saml: KeyRing, tmp_path: Path) -> None:
    mine, other = saml.publish().kid, saml.publish("p-256").kid
    saml.activate()
    saml.publish()
    saml.activate()
    assert mine in saml.retire()
    assert not (tmp_path / "keys" / f"{mine}.pem").exists()
    assert (tmp_path / "keys" / f"{other}.pem").exists()


def test_a_key_that_a_client_names_is_kept_when_it_is_retired(saml: KeyRing) -> None:
    named = saml.publish().kid
    saml.activate()
    saml.publish()
    saml.activate()
    saml.retire(keep={named})
    assert named not in [key.kid for key in saml.published]
    assert saml.named(named).kid == named
    saml.retire()
    with pytest.raises(KeyProblem, match="There is no key"):
        KeyRing(saml._folder, use="saml").named(named)


def test_G_R7_a_retired_key_is_dropped_by_itself_after_its_time(saml: KeyRing, clock: Clock) -> None:
    saml.publish()
    saml.activate()
    clock.seconds += 30 * DAY - 1
    before = saml.keys()
    assert states(saml) == ["current", "retired"]
    clock.seconds += 1
    assert states(saml) == ["current"]
    assert saml.keys() is not before, "whoever keeps something made of the keys sees that they are others"


def test_F19_another_ring_over_the_folder_follows_each_step(saml: KeyRing) -> None:
    running = KeyRing(saml._folder, use="saml")
    assert states(running) == ["current"]
    saml.publish()
    assert states(running) == ["current", "next"]
    saml.activate()
    assert running.current.kid == saml.current.kid
    saml.retire()
    assert states(running) == ["current"]


def test_a_ring_of_an_older_version_is_for_all_uses(tmp_path: Path, saml: KeyRing) -> None:
    path = tmp_path / "keys" / "ring.json"
    kid = saml.current.kid
    path.write_text(json.dumps([{"kid": kid, "state": "current", "created": NOON}]))
    assert {KeyRing(tmp_path / "keys", use=use).current.kid for use in module.USES} == {kid}
    saml.publish()
    assert states(saml) == ["current", "next"]


@pytest.mark.parametrize(("kind", "curve"), [("p-256", "secp256r1"), ("p-384", "secp384r1")])
def test_SDP_MD07_an_elliptic_key_goes_through_the_same_steps(saml: KeyRing, kind: module.Kind, curve: str) -> None:
    made = saml.publish(kind)
    assert isinstance(made, EllipticKey)
    assert (made.private.curve.name, made.state, states(saml)) == (curve, "next", ["current"])
    saml.activate(kind)
    (current,) = saml.elliptic
    assert (current.kid, current.state) == (made.kid, "current")
    public = current.certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(current.private.sign(b"message", ec.ECDSA(hashes.SHA256())), b"message", ec.ECDSA(hashes.SHA256()))
    assert saml.of("oidc").elliptic == ()
    assert [key["kty"] for key in saml.of("oidc").jwks()["keys"]] == ["RSA"]
