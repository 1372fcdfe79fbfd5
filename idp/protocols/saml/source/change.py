"""What a new copy of metadata would change, in lines that an operator can read and decide on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from idp.protocols.saml.algorithm import PublicKey
from idp.protocols.saml.entity import Endpoint, ServiceProvider


def differences(old: ServiceProvider, new: ServiceProvider) -> list[str]:
    """`- what goes`, `+ what comes`, `~ what becomes another`; empty when only times or wording differ."""
    return [
        *_moved("entity ID", [old.entity_id], [new.entity_id]),
        *_moved("address for answers", _places(old.every_acs), _places(new.every_acs)),
        *_default_address(old, new),
        *_moved("address for logout", _places(old.slo), _places(new.slo)),
        *_moved("key for signatures", _prints(old.signing_keys), _prints(new.signing_keys)),
        *_moved("key for encryption", _encryption(old), _encryption(new)),
        *_moved("requested attribute", _requested(old), _requested(new)),
        *_moved("format of names", old.name_id_formats, new.name_id_formats),
        *_moved("category", _categories(old), _categories(new)),
        *_moved("signature method", old.signature_methods, new.signature_methods),
        *_moved("digest method", old.digest_methods, new.digest_methods),
        *_became("signs its requests", old.authn_requests_signed, new.authn_requests_signed),
        *_became("wants assertions signed", old.want_assertions_signed, new.want_assertions_signed),
    ]


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the public key, as `openssl pkey -pubin -outform DER | sha256sum` has it: the same for every certificate of the key."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _moved(what: str, old: Iterable[str], new: Iterable[str]) -> Iterator[str]:
    before, after = list(old), list(new)
    yield from (f"- {what} {each}" for each in before if each not in after)
    yield from (f"+ {what} {each}" for each in after if each not in before)


def _became(what: str, old: bool, new: bool) -> Iterator[str]:
    if old != new:
        yield f"~ {what}: {'yes' if old else 'no'} -> {'yes' if new else 'no'}"


def _default_address(old: ServiceProvider, new: ServiceProvider) -> Iterator[str]:
    if old.default_acs.location != new.default_acs.location:
        yield f"~ usual address for answers: {old.default_acs.location} -> {new.default_acs.location}"


def _places(endpoints: Iterable[Endpoint]) -> list[str]:
    places = []
    for each in endpoints:
        index = "" if each.index is None else f", number {each.index}"
        answers = f", answers to {each.response_location}" if each.response_location else ""
        places.append(f"{each.location} ({each.binding.rpartition(':')[2]}{index}{answers})")
    return places


def _prints(keys: Iterable[PublicKey]) -> list[str]:
    return [f"sha256:{fingerprint(key)}" for key in keys]


def _encryption(provider: ServiceProvider) -> list[str]:
    found = []
    for key in provider.encryption_keys:
        methods = " ".join(each.rpartition("#")[2] for each in (*key.methods, *key.digests))
        found.append(f"sha256:{fingerprint(key.public)}" + (f" ({methods})" if methods else ""))
    return found


def _requested(provider: ServiceProvider) -> list[str]:
    found = []
    for service in provider.services:
        for each in service.requested:
            values = f" = {' '.join(each.values)}" if each.values else ""
            wanted = "required" if each.required else "optional"
            found.append(f"{each.friendly_name or each.name}{values} ({wanted}, set {service.index})")
    return found


def _categories(provider: ServiceProvider) -> list[str]:
    return [f"{name} {value}" for name, values in provider.entity_attributes.items() for value in values]
