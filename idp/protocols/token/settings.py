"""[clients.ID.token]"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from idp.web.vendors.settings import VendorSettings


def _parameter_name(name: str) -> str:
    if not (name.isascii() and name.replace("_", "").replace("-", "").isalnum()) or len(name) > 64:
        raise ValueError("a parameter's name has letters, digits, _ and - alone")
    return name


class TokenSettings(VendorSettings):
    """A vendor that takes a token on its return URL."""

    method: Literal["post", "get"] = "post"
    """How the token travels: in a form, or in the address for a vendor that cannot take a form (S95)."""
    token_parameter: Annotated[str, AfterValidator(_parameter_name)] = "token"  # noqa: S105
    """The name under which the vendor looks for the token."""

    @model_validator(mode="after")
    def _has_somewhere_to_return_to(self) -> TokenSettings:
        if not self.return_urls:
            raise ValueError("return_urls is missing: where may members be sent back?")
        return self
