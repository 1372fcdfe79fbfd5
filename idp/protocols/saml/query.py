"""HTTP-Redirect: the query string as it arrived, octet for octet, and its detached signature (Bindings section 3.4.4.1).

The signature covers the sender's own percent-encoding. Whoever decodes and encodes again verifies another text than
was signed, and refuses senders that encode differently (S46, S58); therefore nothing here goes through a web framework.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote_plus, unquote_plus

from idp.errors import BadRequest
from idp.keys import AnyKey
from idp.protocols.saml import algorithm
from idp.protocols.saml.algorithm import RSA_SHA256, PublicKey, decode_base64

Kind = Literal["SAMLRequest", "SAMLResponse"]

_MESSAGES: tuple[Kind, Kind] = ("SAMLRequest", "SAMLResponse")
_ORDER = ("SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature")
_KNOWN = (*_ORDER, "SAMLEncoding")
_DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"
_SIZE = 131_072  # octets of a whole query; the message in it is bounded again when it is decoded


@dataclass(frozen=True)
class RedirectQuery:
    """One message from a query string; `signed` holds the octets under the signature, both empty when there is none."""

    kind: Kind
    message: str
    relay_state: str
    signature_method: str = ""
    signature: bytes = b""
    signed: bytes = b""

    @property
    def is_signed(self) -> bool:
        return bool(self.signed)


def read_query(raw: bytes) -> RedirectQuery:
    """The one SAML message of a raw query string. Raises BadRequest for any that two readers could understand differently (V14)."""
    if len(raw) > _SIZE:
        raise _unclear("The address of the request is too long.", expected=f"at most {_SIZE} octets", received=str(len(raw)))
    fields = _fields(raw)
    kind = _kind(fields)
    encoding = unquote_plus(fields.get("SAMLEncoding", _DEFLATE))
    if encoding != _DEFLATE:
        raise _unclear("The encoding of the SAML message is not known.", expected=_DEFLATE, received=encoding)
    message, relay_state = unquote_plus(fields[kind]), unquote_plus(fields.get("RelayState", ""))
    if "Signature" not in fields and "SigAlg" not in fields:
        return RedirectQuery(kind, message, relay_state)
    if "Signature" not in fields or "SigAlg" not in fields:
        raise _unclear("The SAML request has half a signature.", expected="SigAlg and Signature", received=" ".join(fields))
    return RedirectQuery(
        kind,
        message,
        relay_state,
        signature_method=unquote_plus(fields["SigAlg"]),
        signature=decode_base64(unquote_plus(fields["Signature"])),
        signed="&".join(f"{name}={fields[name]}" for name in _ORDER[:4] if name in fields).encode("latin-1"),
    )


def verify_query(query: RedirectQuery, keys: Iterable[PublicKey], *, legacy: bool = False) -> None:
    """Raises BadRequest unless one of the keys, which come from metadata alone, made the signature over the octets received."""
    method = query.signature_method
    algorithm.check_method(method, legacy=legacy)
    if not any(algorithm.verifies(key, method, signature=query.signature, octets=query.signed, legacy=legacy) for key in keys):
        raise BadRequest(
            "saml.signature_invalid",
            "The signature of the SAML message does not fit: another key than the application's, or the address was changed on the way.",
            expected="a signature by a certificate in the application's metadata",
        )


def sign_query(kind: Kind, message: str, *, relay_state: str, key: AnyKey, method: str = RSA_SHA256) -> str:
    """The query string for a message that is deflated and in base64 already, with our signature."""
    fields = {kind: message, **({"RelayState": relay_state} if relay_state else {}), "SigAlg": method}
    signed = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
    signature = base64.b64encode(algorithm.sign(key, method, signed.encode())).decode()
    return f"{signed}&Signature={quote_plus(signature)}"


def _fields(raw: bytes) -> dict[str, str]:
    """The parameters that concern us, still percent-encoded: each once, in the binding's order, under its plain name."""
    fields: dict[str, str] = {}
    for part in raw.decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        plain = unquote_plus(name)
        if plain not in _KNOWN:
            continue
        if plain != name or name in fields:
            raise _unclear("A parameter of the SAML request stands there twice or in disguise.", expected=f"{plain} once", received=name)
        fields[name] = value
    found = [name for name in fields if name in _ORDER[:4]]  # where Signature stands is free: python3-saml puts it before SigAlg
    if found != sorted(found, key=_ORDER.index):
        raise _unclear(
            "The parameters of the SAML request are not in their order.", expected=" ".join(_ORDER[:4]), received=" ".join(found)
        )
    return fields


def _kind(fields: dict[str, str]) -> Kind:
    found = [kind for kind in _MESSAGES if fields.get(kind)]
    if len(found) == 1 and sum(kind in fields for kind in _MESSAGES) == 1:
        return found[0]
    if found:
        raise _unclear("The address holds a SAML request and a SAML response at once.", expected="one of them", received="both")
    raise BadRequest(
        "saml.message_missing",
        "There is no SAML message in this address. Please start again at the application that you want to use.",
        expected="SAMLRequest or SAMLResponse",
    )


def _unclear(message: str, *, expected: str, received: str) -> BadRequest:
    return BadRequest("saml.query_unclear", message, expected=expected, received=received)
