"""/oauth/register, where the association has turned it on."""

from __future__ import annotations

from flask import Blueprint, Response, request

from idp.protocols.oidc.protocol import OidcProtocol
from idp.protocols.oidc.views import Machine
from idp.web.gateway import Gateway


def registration_pages(gateway: Gateway, protocol: OidcProtocol) -> Blueprint:
    """POST /oauth/register; GET, PUT and DELETE /oauth/register/<client id>."""
    pages = Blueprint("oidc_registration", __name__)
    machine, desk = Machine(gateway, protocol), protocol.registration

    @pages.post("/oauth/register")
    def register() -> Response:
        return machine.answer(lambda: desk.register(_json_body(), machine.caller()), status=201)

    @pages.get("/oauth/register/<client_id>")
    def read(client_id: str) -> Response:
        return machine.answer(lambda: desk.read(client_id, machine.caller()))

    @pages.put("/oauth/register/<client_id>")
    def update(client_id: str) -> Response:
        return machine.answer(lambda: desk.update(client_id, _json_body(), machine.caller()))

    @pages.delete("/oauth/register/<client_id>")
    def remove(client_id: str) -> Response:
        return machine.answer(lambda: desk.remove(client_id, machine.caller()), status=204)

    return pages


def _json_body() -> str:
    """A body of another kind counts as empty (S121)."""
    return request.get_data().decode(errors="replace") if request.mimetype == "application/json" else ""
