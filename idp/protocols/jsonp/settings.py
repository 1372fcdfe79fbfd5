"""[clients.ID.jsonp]"""

from __future__ import annotations

from datetime import date

from pydantic import model_validator

from idp.web.vendors.settings import Origins, VendorSettings


class JsonpSettings(VendorSettings):
    """A page that asks by a script whether somebody is signed in."""

    origins: Origins = ()
    """The pages that may ask, by origin, such as "https://www.example.org". They learn whether the visitor is signed in (S99)."""
    expires: date | None = None
    """The last day on which it may be used, such as 2027-12-31; it must be given, and put off again and again (`idp clients renew`):
    browsers are giving up what this rests on, and every year somebody should ask whether the page still needs it (S99)."""

    @model_validator(mode="after")
    def _somebody_may_ask(self) -> JsonpSettings:
        if not self.origins:
            raise ValueError("origins is missing: which pages may ask?")
        if self.expires is None:
            raise ValueError("expires is missing: until which day may the pages ask? At most a year from now is wise")
        return self

    @property
    def pages(self) -> tuple[str, ...]:
        """The registered return addresses; when none are given, every page of the origins."""
        return self.return_urls or tuple(f"{origin}/" for origin in self.origins)
