"""iMIS's reasons for not making an account or setting a password, as a sentence for the member (facts on iMIS, 4.6)."""

from __future__ import annotations

import json
from typing import Any

from idp.directory import AccountRefused
from idp.directory.imis_fields import text, values

_TAKEN = "That user name is taken already. Please choose another."
_REFUSED = "The membership system did not accept this. Please check what you typed."
_LONGEST = 300


def refusal(body: Any) -> AccountRefused:
    """From a 400's body, or from the message of an operation. iMIS's own words are shown where they are plain text."""
    if "DuplicateProviderUserKey" in json.dumps(body):  # SEEN, but not where in the body it stands
        return taken()
    reasons = " ".join(_reasons(body))
    if reasons and len(reasons) <= _LONGEST and not set("<>{}$\\") & set(reasons) and reasons != "NotFound":
        return AccountRefused("directory.account_refused", f"The membership system says: {reasons}")
    return AccountRefused("directory.account_refused", _REFUSED)


def taken() -> AccountRefused:
    return AccountRefused("directory.username_taken", _TAKEN)


def _reasons(body: Any) -> list[str]:
    if isinstance(body, str):
        return [text(body)]
    errors = values(body.get("Errors")) if isinstance(body, dict) else None
    return [reason for error in errors or [] if isinstance(error, dict) and (reason := text(error.get("Message")))]
