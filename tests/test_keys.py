"""Signing keys: made once, kept from others, changed without surprising anybody."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import stat
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from idp import keys as module
from idp.keys import KeyProblem, KeyRing
from idp.keys.folder import read_ring

NOON = 1_800_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def ring(folder: Path) -> KeyRing:
    """A ring with its first key."""
    ring = KeyRing(folder)
    ring.create(now=lambda: NOON)
    return ring


@pytest.fixture
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of waiting for a second."""
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)


def states(ring: KeyRing) -> dict[str, str]:
    return {key.kid: key.state for key in ring.published}


def problem_of(act: Callable[[], object]) -> str:
    with pytest.raises(KeyProblem) as caught:
        act()
    assert caught.value.cause == "keys.unusable"
    return caught.value.message


class TestOneKey:
    def test_a_foreign_library_verifies_its_tokens_by_the_published_set(self, ring: KeyRing) -> None:
        token = ring.current.jwt({"iss": "https://login.example", "name": "Łódź 東京"}, type="logout+jwt")
        read = jwt.decode(token, KeySet.import_key_set(ring.jwks()), algorithms=["RS256"])  # type: ignore[arg-type]
        assert read.claims == {"iss": "https://login.example", "name": "Łódź 東京"}
        assert read.header == {"alg": "RS256", "kid": ring.current.kid, "typ": "logout+jwt"}

    def test_its_name_is_the_rfc_7638_thumbprint_of_its_public_key(self, ring: KeyRing) -> None:
        (published,) = ring.jwks()["keys"]
        assert RSAKey.import_key(published).thumbprint() == published["kid"] == ring.current.kid  # type: ignore[arg-type]
        assert set(published) == {"kty", "n", "e", "kid", "use"}, "nothing of the private key"

    def test_its_signature_verifies_by_its_certificate(self, ring: KeyRing) -> None:
        public = ring.current.certificate.public_key()
        assert isinstance(public, rsa.RSAPublicKey)
        public.verify(ring.current.sign(b"message"), b"message", PKCS1v15(), SHA256())
        assert ring.current.certificate_base64.isascii()
        assert "\n" not in ring.current.certificate_base64

    def test_SDP_MD05_the_certificate_is_self_signed_valid_now_and_for_years(self, ring: KeyRing) -> None:
        certificate = ring.current.certificate
        assert certificate.issuer == certificate.subject
        certificate.verify_directly_issued_by(certificate)
        assert certificate.not_valid_before_utc.timestamp() < NOON
        assert certificate.not_valid_after_utc.timestamp() > NOON + 9 * 365 * 86400

    def test_SDP_MD06_S53_a_key_of_another_size_is_not_made(self, folder: Path) -> None:
        assert "2048, 3072 or 4096" in problem_of(lambda: KeyRing(folder).create(bits=1024))
        assert KeyRing(folder).keys() == ()

    def test_G_S10_its_repr_shows_nothing_of_the_private_key(self, ring: KeyRing) -> None:
        assert str(ring.current.private.private_numbers().d) not in repr(ring.current)
        assert "PRIVATE" not in repr(ring.current)


class TestTheFolder:
    def test_S70_every_file_is_for_the_owner_alone(self, ring: KeyRing, folder: Path) -> None:
        ring.rotate(now=lambda: NOON)
        ring.pairwise("x")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.name != ".lock"}
        assert len(modes) == 5, "three keys, the ring, the pairwise secret, and no temporary file"
        assert set(modes.values()) == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_S70_not_even_what_a_crash_left_behind_widens_that(self, ring: KeyRing, folder: Path) -> None:
        left = folder / f".ring.json.{os.getpid()}"
        left.touch(mode=0o644)
        ring.rotate(now=lambda: NOON)
        assert stat.S_IMODE((folder / "ring.json").stat().st_mode) == 0o600
        assert not left.exists()

    def test_without_keys_the_sentence_says_what_to_run(self, folder: Path) -> None:
        assert problem_of(lambda: KeyRing(folder).current) == f"There is no current signing key in {folder}. Run: idp keys create"
        assert problem_of(KeyRing(folder).rotate) == f"There is no current signing key in {folder}. Run: idp keys create"

    def test_F20_S70_a_key_that_others_can_read_is_not_used(self, ring: KeyRing, folder: Path) -> None:
        path = folder / f"{ring.current.kid}.pem"
        path.chmod(0o640)
        assert problem_of(lambda: KeyRing(folder).current) == f"The file {path} can be read by others. Run: chmod 600 {path}"
        path.chmod(0o600)
        assert KeyRing(folder).current.kid == ring.current.kid

    def test_F20_a_missing_key_file_is_named(self, ring: KeyRing, folder: Path) -> None:
        path = folder / f"{ring.current.kid}.pem"
        path.unlink()
        assert problem_of(lambda: KeyRing(folder).current) == f"The file {path} cannot be read: No such file or directory."

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
    def test_F20_a_key_file_that_is_none_is_named(self, ring: KeyRing, folder: Path, content: bytes) -> None:
        path = folder / f"{ring.current.kid}.pem"
        path.write_bytes(content)
        assert problem_of(lambda: KeyRing(folder).current).startswith(f"{path} is not a private key in PEM")

    @pytest.mark.parametrize("kind", ["encrypted", "no certificate", "elliptic"])
    def test_F20_a_key_of_another_kind_is_named(self, ring: KeyRing, folder: Path, kind: str) -> None:
        current = ring.current
        elliptic = ec.generate_private_key(ec.SECP256R1())
        private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = elliptic if kind == "elliptic" else current.private
        encryption = serialization.BestAvailableEncryption(b"x") if kind == "encrypted" else serialization.NoEncryption()
        pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        certificate = b"" if kind == "no certificate" else current.certificate.public_bytes(serialization.Encoding.PEM)
        (folder / f"{current.kid}.pem").write_bytes(pem + certificate)
        assert str(folder / f"{current.kid}.pem") in problem_of(lambda: KeyRing(folder).current)

    def test_F20_a_key_file_in_anothers_place_is_seen(self, ring: KeyRing, folder: Path) -> None:
        """It would sign under a name that nobody's published set has."""
        first = ring.current.kid
        second = ring.rotate(now=lambda: NOON).kid
        (folder / f"{second}.pem").write_bytes((folder / f"{first}.pem").read_bytes())
        assert "holds another key than its name says" in problem_of(lambda: KeyRing(folder).current)

    @pytest.mark.parametrize("text", ["", "{", "{}", "[1]", "null", '[{"kid": "x"}]', '[{"kid": "x", "state": "odd", "created": 1}]'])
    def test_F20_a_ring_file_that_is_none_is_named(self, ring: KeyRing, folder: Path, text: str) -> None:
        (folder / "ring.json").write_text(text, encoding="utf-8")
        assert str(folder) in problem_of(lambda: KeyRing(folder).current)

    def test_F20_a_folder_that_cannot_be_written_to_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        folder = tmp_path / "file" / "keys"
        assert str(folder) in problem_of(KeyRing(folder).create_if_empty)
        assert str(folder) in problem_of(lambda: KeyRing(folder).current)


class TestRotation:
    def test_S38_the_old_key_stays_published_and_the_next_one_is_published_before_it_signs(self, ring: KeyRing) -> None:
        first = ring.current.kid
        second = ring.rotate(now=lambda: NOON + 1).kid
        (third,) = [kid for kid, state in states(ring).items() if state == "next"]
        assert states(ring) == {first: "retired", second: "current", third: "next"}
        assert ring.rotate(now=lambda: NOON + 2).kid == third
        assert states(ring)[second] == states(ring)[first] == "retired"
        assert [key.state for key in ring.published] == ["current", "next", "retired", "retired"]

    def test_G_R7_tokens_of_every_published_key_verify(self, ring: KeyRing) -> None:
        tokens = [ring.current.jwt({"n": 0}, type="JWT")]
        ring.rotate(now=lambda: NOON + 1)
        tokens.append(ring.current.jwt({"n": 1}, type="JWT"))
        published = KeySet.import_key_set(ring.jwks())  # type: ignore[arg-type]
        assert [jwt.decode(token, published, algorithms=["RS256"]).claims["n"] for token in tokens] == [0, 1]
        first = ring.published[-1]
        assert ring.by_kid(first.kid) == first
        assert ring.by_kid("nobody's") is None

    def test_F19_a_running_ring_follows_what_another_process_rotated(self, ring: KeyRing, folder: Path, look_at_once: None) -> None:
        running = KeyRing(folder)
        assert running.current.kid == ring.current.kid
        new = ring.rotate(now=lambda: NOON)
        assert running.current.kid == new.kid

    def test_a_ring_is_read_once_while_nothing_changes(self, ring: KeyRing, look_at_once: None) -> None:
        assert ring.keys() is ring.keys()

    def test_F20_a_running_server_keeps_its_keys_when_the_folder_goes_bad_and_says_so_once(
        self, ring: KeyRing, folder: Path, look_at_once: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        kid = ring.current.kid
        good = (folder / "ring.json").read_bytes()
        for bad in (b"{", b"[]"):
            (folder / "ring.json").write_bytes(bad)
            with caplog.at_level(logging.WARNING):
                assert [ring.current.kid for _ in range(5)] == [kid] * 5
        (folder / "ring.json").unlink()
        assert ring.current.kid == kid
        assert len(caplog.records) == 2, "one for each thing that is wrong"
        (folder / "ring.json").write_bytes(good)
        (folder / "ring.json").chmod(0o600)
        assert ring.rotate(now=lambda: NOON).kid == ring.current.kid != kid

    def test_a_second_first_key_is_not_made(self, ring: KeyRing, folder: Path) -> None:
        assert "has a current signing key already" in problem_of(ring.create)
        assert ring.create_if_empty() is None
        assert len(KeyRing(folder).keys()) == 1

    def test_two_processes_that_make_the_first_key_make_one(self, folder: Path) -> None:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            made = list(pool.map(_create, [folder] * 4))
        assert len([kid for kid in made if kid]) == 1
        assert [key.kid for key in KeyRing(folder).published] == [kid for kid in made if kid]


def _create(folder: Path) -> str:
    key = KeyRing(folder).create_if_empty()
    return key.kid if key else ""


class TestPairwise:
    def test_IIP_IDP21_an_identifier_is_the_same_for_the_same_names_in_every_process(self, folder: Path) -> None:
        folder.mkdir()
        one, other = KeyRing(folder).pairwise("sp", "101"), KeyRing(folder).pairwise("sp", "101")
        assert one == other
        assert one == one.lower()
        assert one.isalnum()

    def test_it_differs_for_others_and_cannot_be_made_by_moving_letters(self, folder: Path) -> None:
        ring = KeyRing(folder)
        made = {ring.pairwise(*names) for names in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("c", "ab"))}
        assert len(made) == 6
        assert KeyRing(folder.with_name("elsewhere")).pairwise("ab", "c") not in made

    def test_its_secret_is_not_used_when_others_can_read_it_or_it_was_cut_off(self, folder: Path) -> None:
        KeyRing(folder).pairwise("x")
        path = folder / "pairwise.secret"
        path.chmod(0o644)
        assert "chmod 600" in problem_of(lambda: KeyRing(folder).pairwise("x"))
        path.chmod(0o600)
        path.write_bytes(b"")
        assert "too short" in problem_of(lambda: KeyRing(folder).pairwise("x"))


def test_a_key_that_was_proven_once_is_not_proven_at_every_look(ring: KeyRing, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes up to 300 ms during which no other thread runs, and the calendar looks again and again."""
    read_ring(folder)
    monkeypatch.setattr(serialization, "load_pem_private_key", lambda *_, **__: pytest.fail("it was proven again"))
    assert [entry.kid for entry in read_ring(folder)] == [ring.current.kid]


def test_the_ring_file_holds_no_secret(ring: KeyRing, folder: Path) -> None:
    (entry,) = json.loads((folder / "ring.json").read_text(encoding="utf-8"))
    standing = {"state": "current", "since": NOON}
    assert entry == {"kid": ring.current.kid, "created": NOON, "uses": {"saml": standing, "oidc": standing}}
    assert x509.load_pem_x509_certificate((folder / f"{entry['kid']}.pem").read_bytes()) == ring.current.certificate
