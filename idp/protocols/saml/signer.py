"""Which key of ours signs for which application, and by which algorithms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idp.keys import AnyKey, EllipticKey, KeyProblem, KeyRing
from idp.protocols.saml.algorithm import OUR_METHODS, STANDARD, Suite, choose_suite, elliptic_methods
from idp.protocols.saml.provider import Known


@dataclass(frozen=True)
class Signer:
    """A key, and what is done with it."""

    key: AnyKey
    suite: Suite = STANDARD


class Signers:
    """The current RSA key for most; an elliptic one where an application wants ECDSA; the one that its settings name where it cannot
    follow a change of key. Encryption for us is RSA in any case."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def of(self, known: Known | None) -> Signer:
        """Raises KeyProblem when the application's settings want what our keys cannot do."""
        if known is None:
            return Signer(self._keys.current)
        able = self._able(known.settings.signing_key)
        wanted = known.settings.signature_algorithm
        if wanted and wanted not in able:
            raise KeyProblem(
                f'The application "{known.client.id}" wants signatures by {wanted.rpartition("#")[2]}, and no active key of ours makes'
                " them. For ECDSA run: idp keys rotate saml --publish --kind p-256, and later the same with --activate"
            )
        suite = choose_suite(wanted, known.provider.signature_methods, known.provider.digest_methods, able=tuple(able))
        return Signer(able[suite.method], suite)

    def _able(self, named: str) -> Mapping[str, AnyKey]:
        """Signature methods, the preferred one first, each with its key."""
        if named:
            key = self._keys.named(named)
            return dict.fromkeys(elliptic_methods(key.private.key_size) if isinstance(key, EllipticKey) else OUR_METHODS, key)
        able: dict[str, AnyKey] = dict.fromkeys(OUR_METHODS, self._keys.current)
        return able | _by_curve([key for key in self._keys.elliptic if key.state == "current"])


def signer_with(key: AnyKey) -> Signer:
    """The key with what it usually signs by."""
    return Signer(key, Suite(elliptic_methods(key.private.key_size)[0]) if isinstance(key, EllipticKey) else STANDARD)


def _by_curve(keys: Sequence[EllipticKey]) -> dict[str, AnyKey]:
    """Each method with the key whose curve fits its hash best."""
    found: dict[str, tuple[int, EllipticKey]] = {}
    for key in keys:
        for rank, method in enumerate(elliptic_methods(key.private.key_size)):
            if method not in found or rank < found[method][0]:
                found[method] = (rank, key)
    return {method: key for method, (_, key) in found.items()}
