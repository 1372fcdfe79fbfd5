"""One small exception tree. Every refusal has two faces: a sentence for the person, a cause for the log.

`cause` is a stable id such as `saml.acs_unknown`: scripts, staff and tests rely on it, the wording may change.
`expected` and `received` are for vendors; they must never hold a secret, a code, a token or an assertion.
"""

from __future__ import annotations

import secrets

_TRY_AGAIN = 10  # seconds
_REFERENCE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no letter that is read aloud as a digit


def new_reference() -> str:
    """A number to read to staff on the telephone, such as `K7Q2-42QX`; the log line with it has the cause."""
    text = "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(8))
    return f"{text[:4]}-{text[4:]}"


class IdpError(Exception):
    """Whatever is refused, with the sentence that may be shown and the cause that may be logged."""

    status = 400
    document = ""
    """The message that was refused, decoded, for the page that helps whoever connects a vendor; never logged."""

    def __init__(
        self,
        cause: str,
        message: str,
        *,
        expected: str = "",
        received: str = "",
        client_id: str = "",
        status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{cause}: {message}")
        self.cause = cause
        self.message = message
        self.expected = expected
        self.received = received[:300]
        self.client_id = client_id
        self.retry_after = retry_after
        if status is not None:
            self.status = status


class BadRequest(IdpError):
    """A message that cannot be answered to its sender: the return address is not known to be good, so our own page says why."""


class Refusal(IdpError):
    """A request that is understood and refused, after its return address was validated: the protocol tells its client."""


class LoginRequired(Refusal):
    """No session that would do, and the client forbade to ask (`prompt=none`, `IsPassive`)."""

    def __init__(self) -> None:
        super().__init__("signon.login_required", "Nobody is signed in here, and the application asked not to show a sign-in page.")


class CannotTell(Refusal):
    """Something that we depend on does not answer, and the client forbade to show a page that says so."""

    def __init__(self) -> None:
        super().__init__("signon.cannot_tell", "The sign-in service cannot tell at the moment. Try again in a few minutes.")


class AccessDenied(Refusal):
    """The member is who they say, and may not enter this client."""

    status = 403


class Unavailable(IdpError):
    """Something that we depend on does not answer; trying again later may help. Whoever asks is always told when (F7)."""

    status = 503

    def __init__(self, cause: str, message: str, *, received: str = "", retry_after: int | None = None) -> None:
        super().__init__(cause, message, received=received, retry_after=_TRY_AGAIN if retry_after is None else retry_after)


class ConfigError(IdpError):
    """The configuration cannot be used; `problems` holds every one of them with its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("config.invalid", "\n".join(problems))
        self.problems = problems
