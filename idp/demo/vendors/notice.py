"""How a vendor's server checks the notice of a logout: a JWT of the sign-in service, signed with one of its published keys."""

from __future__ import annotations

import time

import requests
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_DEADLINE = 5  # seconds for one call
_LEEWAY = 60  # seconds by which two clocks may differ


class BadNotice(Exception):
    """It is not from the sign-in service, not for this vendor, or too old."""


def read_notice(logout_token: str, *, idp: str, client_id: str) -> dict[str, str]:
    """The session that has ended (`sid`), and whose it was (`sub`): OpenID Connect Back-Channel Logout 1.0 §2.6. Raises BadNotice."""
    try:
        keys = KeySet.import_key_set(requests.get(f"{idp}/oauth/jwks", timeout=_DEADLINE).json())
        token = jwt.decode(logout_token, keys, algorithms=["RS256"])
    except (JoseError, requests.RequestException, ValueError) as error:
        raise BadNotice(f"the logout token cannot be checked: {type(error).__name__}") from None
    claims = token.claims
    wanted = {
        "type": token.header.get("typ") == "logout+jwt",
        "iss": claims.get("iss") == idp,
        "aud": claims.get("aud") in (client_id, [client_id]),
        "exp": isinstance(claims.get("exp"), int) and claims["exp"] > time.time() - _LEEWAY,
        "events": isinstance(claims.get("events"), dict) and _EVENT in claims["events"],
        "nonce": "nonce" not in claims,  # else an ID Token could pass for a logout token
        "sid": isinstance(claims.get("sid"), str),
        "sub": isinstance(claims.get("sub"), str),
    }
    wrong = [name for name, good in wanted.items() if not good]
    if wrong:
        raise BadNotice(f"the logout token has a wrong {' and '.join(wrong)}")
    return {"sid": claims["sid"], "sub": claims["sub"]}
