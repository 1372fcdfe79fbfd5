"""Claims: what was released of a member, under the names of OpenID Connect Core §5.1, and which of it one request gets.

The association decides what a client may see (`release`). The scopes `profile`, `email` and `phone` then hold back the
standard claims that a request did not ask for. Whatever else is released was granted to this client by name, so it is
given under any scope. A plain OAuth request that names none of the standard scopes gets all that is released.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oic.oic import scope2claims
from oic.oic.message import SCOPE2CLAIMS

from idp.directory import Attributes
from idp.errors import Refusal
from idp.protocols.oidc.error import OAuthRefusal
from idp.sso.attribute import json_value
from idp.sso.protocol import Grant
from idp.sso.release import Release, copied, read_release

CLAIM_OF: Mapping[str, str] = {
    "full_name": "name",
    "first_name": "given_name",
    "middle_name": "middle_name",
    "last_name": "family_name",
    "informal_name": "nickname",
    "username": "preferred_username",
    "email": "email",
    "phone": "phone_number",
}
"""Our attribute -> its standard claim, used where the client's release does not rename it."""

CLAIM_SCOPES = ("profile", "email", "address", "phone")
STANDARD_CLAIMS = frozenset(claim for scope in CLAIM_SCOPES for claim in SCOPE2CLAIMS[scope])
# fmt: off
PROTOCOL_CLAIMS = frozenset((
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "sid", "acr", "amr", "azp",
    "at_hash", "c_hash", "s_hash", "cnf", "events", "_claim_names", "_claim_sources",
))
# fmt: on
"""Names that carry the protocol's own meaning: no release can put a member's data under them."""

_TYPED: Mapping[str, Callable[[str], Any]] = {
    "email_verified": lambda value: value.lower() == "true",
    "phone_number_verified": lambda value: value.lower() == "true",
    "updated_at": lambda value: int(value) if value.isdecimal() and len(value) < 12 else 0,
    "address": lambda value: {"formatted": value},
}
"""Standard claims that are no texts (OpenID Connect Core §5.1)."""


@dataclass(frozen=True)
class Member:
    """What goes through pyop as its user id: the sign-on under way, and all that was released in it, as claims."""

    grant: Grant
    claims: Mapping[str, Any]


class ReleasedClaims:
    """What pyop takes for its user database; a Member has everything, so nothing is looked up."""

    def __getitem__(self, member: Member) -> Mapping[str, Any]:
        return member.claims


def claims_of(release: Release, released: Attributes) -> dict[str, Any]:
    """Everything that was released, as claims."""
    return {claim: _value(release, theirs, claim, released[theirs]) for theirs, claim in _names(release) if released.get(theirs)}


def names_of(release: Release) -> list[str]:
    """Every claim that it may give."""
    return [claim for _, claim in _names(release)]


def opened_by(member_data: Mapping[str, Any], scopes: Iterable[str]) -> set[str]:
    """The names that a token with these scopes reads at /oauth/me, by the client's table of member data."""
    return {name for scope in scopes if scope in member_data for name in names_of(read_release(member_data[scope]))}


def claims_by_scope(scopes: Sequence[str], claims: Iterable[str]) -> dict[str, None]:
    """Which of the claims these scopes give, in the form that pyop takes for a request."""
    if "openid" not in scopes and not set(scopes) & set(CLAIM_SCOPES):
        return dict.fromkeys(claims)
    given = scope2claims(scopes)  # type: ignore[no-untyped-call]
    return {claim: None for claim in claims if claim in given or claim not in STANDARD_CLAIMS}


def less_scopes(claims: Mapping[str, Any], gone: Iterable[str], left: Iterable[str], asked: Iterable[str] = ()) -> dict[str, Any]:
    """The claims without those that only the scopes `gone` gave; what was asked for by name (Core §5.5) stays."""
    kept = {*asked, *(claim for scope in left for claim in SCOPE2CLAIMS.get(scope, ()))}
    lost = {claim for scope in gone if scope in CLAIM_SCOPES for claim in SCOPE2CLAIMS[scope]} - kept
    return {claim: value for claim, value in claims.items() if claim not in lost}


Wish = Mapping[str, Any] | None
"""What one claim is asked for with: `{"values": [...]}`, or None where any value will do."""


def read_claims_parameter(text: str, release: Release) -> tuple[dict[str, dict[str, Wish]], str]:
    """The `claims` parameter (Core §5.5): claims by name for `id_token` and `userinfo`, and the `sub` that it demands, if any.

    Names that the client can never get are left out. So is a claim whose value is none of those asked for; an essential one, too:
    §5.5.1 forbids an error where it does not come. Raises OAuthRefusal.
    """
    if not text:
        return {}, ""
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad_claims() from None
    if not isinstance(asked, dict):
        raise _bad_claims()
    parts = {place: asked.get(place) or {} for place in ("id_token", "userinfo")}
    if not all(isinstance(part, dict) for part in parts.values()):
        raise _bad_claims()
    subjects = {_demanded(part.get("sub")) for part in parts.values()} - {""}
    if len(subjects) > 1:
        raise _bad_claims()
    possible = {claim for _, claim in _names(release)}
    wishes = {place: {name: _wish(wish) for name, wish in part.items() if name in possible} for place, part in parts.items()}
    return wishes, next(iter(subjects), "")


def is_wanted(wish: Wish, value: object) -> bool:
    """Whether the claim's value is one of those that the request wants; compared as JSON, where `true` is not 1."""
    return wish is None or json.dumps(value, sort_keys=True) in [json.dumps(each, sort_keys=True) for each in wish["values"]]


def _wish(asked: object) -> Wish:
    """`value` or `values` of one claim (Core §5.5.1), in one form."""
    if not isinstance(asked, dict) or not {"value", "values"} & set(asked):
        return None
    return {"values": asked["values"] if isinstance(asked.get("values"), list) else [asked.get("value")]}


def demanded_contexts(text: str) -> list[str]:
    """The `acr` values that the `claims` parameter makes essential for the ID token (Core §5.5.1.1); none, if any will do.

    `text` has been read by `read_claims_parameter` before.
    """
    part = json.loads(text).get("id_token") if text else None
    wish = part.get("acr") if isinstance(part, dict) else None
    if not isinstance(wish, dict) or wish.get("essential") is not True:
        return []
    values = wish["values"] if isinstance(wish.get("values"), list) else [wish.get("value")]
    return [value for value in values if isinstance(value, str)]


def _demanded(sub: object) -> str:
    """`{"sub": {"value": X}}` demands X (Core §5.5.1)."""
    value = sub.get("value") if isinstance(sub, dict) else None
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isascii() or len(value) > 255:
        raise _bad_claims()
    return value


def _bad_claims() -> Refusal:
    return OAuthRefusal("invalid_request", "claims_malformed", "The claims parameter is not what OpenID Connect Core 5.5 describes.")


def _names(release: Release) -> list[tuple[str, str]]:
    """The client's name, the claim; a renamed attribute keeps the client's name."""
    renamed = [(theirs, CLAIM_OF.get(ours, theirs) if ours == theirs else theirs) for ours, theirs in release.names.items()]
    made = [(theirs, CLAIM_OF.get(theirs, theirs) if copied(how) == theirs else theirs) for theirs, how in release.made.items()]
    return [each for each in renamed + made if each[1] not in PROTOCOL_CLAIMS]


def _value(release: Release, theirs: str, claim: str, values: tuple[str, ...]) -> Any:
    if claim in STANDARD_CLAIMS:
        return _TYPED.get(claim, str)(values[0])
    return json_value(release.kind(theirs), values)
