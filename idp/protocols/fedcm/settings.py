"""[clients.ID.fedcm]"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, model_validator

from idp.settings import Settings
from idp.web.vendors.settings import Origins, check_web_address

OptionalAddress = Annotated[str, AfterValidator(lambda url: url and check_web_address(url))]


class FedcmSettings(Settings):
    """Pages that ask by the browser's own hand (FedCM)."""

    origins: Origins = ()
    """The pages that may ask, by origin, such as "https://www.example.org". Whoever runs a page there gets members' tokens (S108)."""
    greet: bool = False
    """Whether a page may greet by first name a member who has signed in there by this way before."""
    privacy_url: OptionalAddress = ""
    """The application's privacy policy, to which the browser links."""
    terms_url: OptionalAddress = ""
    """The application's terms of service, to which the browser links."""

    @model_validator(mode="after")
    def _somebody_may_ask(self) -> FedcmSettings:
        if not self.origins:
            raise ValueError("origins is missing: which pages may ask?")
        return self
