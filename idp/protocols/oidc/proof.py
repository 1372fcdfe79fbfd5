"""Sender-constrained tokens: DPoP proofs (RFC 9449) and certificates (RFC 8705 §3). A token that leaks is of no use to its finder.

The nonce is a MAC over the time, so that every worker knows it and none has to keep it. It changes every few minutes, and the one
before is still taken. Each proof is good once: its `jti` is remembered for as long as its nonce and its `iat` would let it pass.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from idp.clock import Now
from idp.keys import KeyRing
from idp.protocols.oidc.caller import Caller
from idp.protocols.oidc.certificate import thumbprint_of
from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.jose import STRONG, JwtRefused, peek, read_key, verify
from idp.secret import digest
from idp.sso.client import Client
from idp.store import Store

_NONCE_LIFE = 300  # seconds; the one before is taken, too
_OLDEST = 60  # seconds that a proof without a nonce may be old
_AHEAD = 10  # seconds that its sender's clock may be ahead (S32, FAPI 2.0 §5.3.2.1)


class Proofs:
    """What a caller proves to hold beside a token."""

    def __init__(self, keys: KeyRing, store: Store, *, now: Now) -> None:
        self._keys = keys
        self._store = store
        self._now = now

    def nonce(self) -> str:
        """What the next proof has to name (RFC 9449 §8)."""
        return self._nonce_at(self._now())

    def confirm(self, client: Client, caller: Caller) -> Mapping[str, str]:
        """The key that the client's tokens are to be bound to, as `cnf`; empty for bearer tokens. Raises OAuthError."""
        settings = settings_of(client)
        if settings.tls_client_certificate_bound_access_tokens:
            if not caller.certificate:
                message = "This application's tokens are bound to its TLS certificate, and none came with the connection."
                raise OAuthError("invalid_request", "certificate_missing", message, client_id=client.id)
            return {"x5t#S256": thumbprint_of(caller.certificate)}
        thumb = self.thumb(client, caller)
        if not thumb and settings.dpop_bound_access_tokens:
            raise _bad("this application's tokens are bound to a key of its own: a DPoP header is needed")
        return {"jkt": thumb} if thumb else {}

    def thumb(self, client: Client, caller: Caller, *, token: str = "") -> str:
        """The RFC 7638 thumbprint of the key behind the DPoP header; empty where there is none. Raises OAuthError."""
        settings = settings_of(client)
        if not caller.proofs:
            return ""
        try:
            if len(caller.proofs) > 1:
                raise JwtRefused("there is more than one DPoP header")
            key, claims = _verified(caller.proofs[0], STRONG if settings.fapi else (*STRONG, "RS256"))
            self._check(claims, caller, token, needs_nonce=settings.dpop_nonce)
            self._check_first_use(key, claims)
        except JwtRefused as refused:
            raise _bad(str(refused), status=401 if token else 400) from None
        return key

    def check_holder(self, client: Client, confirmation: Mapping[str, str], caller: Caller, token: str) -> None:
        """That whoever brings a bound token holds its key, too (RFC 9449 §7.1, RFC 8705 §3). Raises OAuthError."""
        is_proven = caller.authorization[:5].lower() == "dpop "
        if "x5t#S256" in confirmation:
            held = thumbprint_of(caller.certificate) if caller.certificate else ""
            scheme, expected = "Bearer", confirmation["x5t#S256"]
        elif "jkt" in confirmation:
            held = self.thumb(client, caller, token=token) if is_proven else ""
            scheme, expected = "DPoP", confirmation["jkt"]
        elif is_proven:
            held, expected, scheme = "", "unbound", "DPoP"  # the sender believes that the token is safe to lose: it is not
        else:
            return
        if not hmac.compare_digest(held, expected):
            message = "This access token is bound to a key, and the caller did not show that it holds it."
            raise OAuthError("invalid_token", "token_not_held", message, status=401, scheme=scheme)

    def _check(self, claims: Mapping[str, Any], caller: Caller, token: str, *, needs_nonce: bool) -> None:
        """RFC 9449 §4.3, items 8 to 12."""
        if claims.get("htm") != caller.method:
            raise JwtRefused(f"its htm is not {caller.method}")
        if not _is_same_url(claims.get("htu"), caller.url):
            raise JwtRefused(f"its htu is not {caller.url}")
        issued = claims.get("iat")
        if isinstance(issued, bool) or not isinstance(issued, int | float):
            raise JwtRefused("it has no iat")
        oldest = 2 * _NONCE_LIFE if "nonce" in claims else _OLDEST
        if not self._now() - oldest <= issued <= self._now() + _AHEAD:
            raise JwtRefused("its iat is too old or lies in the future")
        if token and claims.get("ath") != _hashed(token):
            raise JwtRefused("its ath is not the hash of the access token")
        if (needs_nonce or "nonce" in claims) and not self._is_own_nonce(claims.get("nonce")):
            raise _wants_nonce(at_resource=bool(token))

    def _check_first_use(self, key: str, claims: Mapping[str, Any]) -> None:
        name = claims.get("jti")
        if not isinstance(name, str) or not 0 < len(name) <= 256:
            raise JwtRefused("it has no jti of at most 256 characters")
        expires = self._now() + 2 * _NONCE_LIFE + _AHEAD
        if not self._store.put_new("replay", digest(f"dpop\n{key}\n{name}"), {}, expires=expires):
            raise JwtRefused("it was used before")

    def _nonce_at(self, moment: int) -> str:
        return self._keys.pairwise("oidc.dpop_nonce", str(moment // _NONCE_LIFE))[:32]

    def _is_own_nonce(self, nonce: object) -> bool:
        known = (self._nonce_at(self._now()), self._nonce_at(self._now() - _NONCE_LIFE))
        return isinstance(nonce, str) and nonce.isascii() and any([hmac.compare_digest(nonce, each) for each in known])  # noqa: C419


def _wants_nonce(*, at_resource: bool) -> OAuthError:
    """RFC 9449 §8, §9: the client asks again, with the nonce that every answer to a proof has in its DPoP-Nonce header."""
    message = "The DPoP proof must name the nonce of the DPoP-Nonce header."
    status, scheme = (401, "DPoP") if at_resource else (400, "")
    return OAuthError("use_dpop_nonce", "dpop_nonce", message, status=status, scheme=scheme)


def _verified(proof: str, algorithms: Collection[str]) -> tuple[str, Mapping[str, Any]]:
    """The thumbprint of the key in the proof's own header, and its claims (RFC 9449 §4.3, items 2 to 7). Raises JwtRefused."""
    key = read_key(peek(proof)[0].get("jwk"))
    if key is None:
        raise JwtRefused("its header has no public key of a kind that is used here")
    return key.thumbprint(), verify(proof, lambda _: [key], algorithms=algorithms, type="dpop+jwt").claims


def _is_same_url(sent: object, own: str) -> bool:
    """RFC 9449 §4.3: without query and fragment, and normalised as far as anybody's clients vary."""
    if not isinstance(sent, str) or len(sent) > 2000:
        return False
    try:
        parts = urlsplit(sent)
        port = parts.port
    except ValueError:
        return False
    host = (parts.hostname or "") + ("" if port in (None, 443 if parts.scheme == "https" else 80) else f":{port}")
    return f"{parts.scheme}://{host}{parts.path}" == own and "@" not in parts.netloc


def _hashed(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()).rstrip(b"=").decode()


def _bad(problem: str, *, status: int = 400) -> OAuthError:
    message = f"The DPoP proof is not good: {problem}."
    return OAuthError("invalid_dpop_proof", "dpop_proof", message, status=status, scheme="DPoP" if status == 401 else "")
