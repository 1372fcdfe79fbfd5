"""[clients.ID.cookie]"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, model_validator

from idp.web.vendors.settings import VendorSettings


def _cookie_name(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name):
        raise ValueError("a cookie's name has no spaces, commas, semicolons or brackets (RFC 6265 §4.1.1)")
    if name.lower().startswith(("__host-", "__secure-")):
        raise ValueError("a cookie with the prefix __Host- or __Secure- cannot be shared as this one must be")
    return name


def _domain(domain: str) -> str:
    return domain.lower().removeprefix(".")


class CookieSettings(VendorSettings):
    """A vendor that reads a cookie on a domain it shares with us."""

    domain: Annotated[str, AfterValidator(_domain)] = ""
    """The parent domain on which the cookie stands; when it is not given, the longest that our host and the vendor's have in common."""
    cookie_name: Annotated[str, AfterValidator(_cookie_name)] = ""
    """The cookie's name; when it is not given, idp_ and the client's id."""
    http_only: bool = True
    """False lets the vendor's script read the cookie, and any script that was smuggled into its pages too."""

    @model_validator(mode="after")
    def _has_somewhere_to_return_to(self) -> CookieSettings:
        if not self.return_urls:
            raise ValueError("return_urls is missing: where may members be sent back?")
        return self
