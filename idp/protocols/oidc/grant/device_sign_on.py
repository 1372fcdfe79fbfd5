"""The sign-on of a device's member: how the one sequence asks and ends where no browser goes back to the client."""

from __future__ import annotations

from typing import Any

from idp.errors import AccessDenied
from idp.protocols.oidc.claim import Member, claims_of
from idp.protocols.oidc.grant.device import Devices, Waiting
from idp.protocols.oidc.provider import PLACES, OidcProvider
from idp.sso.answer import Page
from idp.sso.protocol import Grant, SignOnRequest


class DeviceSignOn:
    """Requests that come from /device, and their answers, which are pages of ours."""

    def __init__(self, devices: Devices, provider: OidcProvider) -> None:
        self._devices = devices
        self._provider = provider

    def request(self, waiting: Waiting) -> SignOnRequest:
        """The sign-on for a device whose code its member has typed in and said yes to."""
        return SignOnRequest("oidc", waiting.client_id, {"device": waiting.key, "scope": list(waiting.scope)})

    def let_in(self, request: SignOnRequest, grant: Grant) -> Page:
        """Raises AccessDenied when the device does not wait any more."""
        member = Member(grant, claims_of(grant.client.release, grant.attributes))
        claims: dict[str, Any] = {place: self._provider.claims_at(place, request.state, member) for place in PLACES}
        if not self._devices.allow(request.state["device"], grant.session, claims):
            raise AccessDenied("oidc.device_gone", "The device does not wait any more.")
        return Page("device_done.html", {"allowed": True, "client": grant.client})

    def refused(self, request: SignOnRequest, reference: str) -> Page:
        """The device hears no, and the member reads it."""
        self._devices.deny(request.state["device"])
        return Page("device_done.html", {"allowed": False, "reference": reference}, status=403)


def is_of_device(request: SignOnRequest) -> bool:
    """Whether the request came from /device."""
    return "device" in request.state
