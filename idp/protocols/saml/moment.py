"""Times as SAML writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from idp.errors import BadRequest


def read_time(text: str | None) -> int:
    """An xs:dateTime in seconds since 1970; without a zone it is UTC (Core section 1.3.3). Raises BadRequest."""
    try:
        moment = datetime.fromisoformat((text or "").strip())
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise BadRequest(
            "saml.time_invalid", "A time in the SAML message cannot be read.", expected="2026-01-31T12:00:00Z", received=text or ""
        ) from None


def write_time(seconds: int) -> str:
    """Whole seconds in UTC, as Core section 1.3.3 wants: some receivers stumble over fractions."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
