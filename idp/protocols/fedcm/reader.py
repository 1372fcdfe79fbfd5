"""How a page's `params` become a request of the client's own protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlencode

from idp.errors import BadRequest, Refusal
from idp.protocols.fedcm.protocol import Reader
from idp.sso.protocol import SignOnRequest


class TokenReader(Protocol):
    """The token protocol."""

    def read(self, parameters: Mapping[str, str]) -> SignOnRequest: ...

    def objection(self, request: SignOnRequest) -> Refusal | None: ...


class ScriptReader(Protocol):
    """The JSONP protocol, whose answer a page reads itself."""

    def read_fetch(self, parameters: Mapping[str, str], origin: str, mode: str) -> SignOnRequest: ...


def token_reader(protocol: TokenReader) -> Reader:
    """`return` and the deep link, as in the address of /token/signon."""

    def read(parameters: Mapping[str, str], client_id: str, origin: str) -> tuple[SignOnRequest, Refusal | None]:  # noqa: ARG001
        asked = protocol.read({**parameters, "client": client_id})
        return asked, protocol.objection(asked)

    return read


def script_reader(protocol: ScriptReader) -> Reader:
    """Nothing but the client."""

    def read(parameters: Mapping[str, str], client_id: str, origin: str) -> tuple[SignOnRequest, Refusal | None]:  # noqa: ARG001
        return protocol.read_fetch({"client": client_id}, origin, ""), None

    return read


def oidc_reader(read_request: Callable[[str], tuple[SignOnRequest, Refusal | None]]) -> Reader:
    """An authorization request. For a code alone, and with PKCE: a script holds it for a while (S110)."""

    def read(parameters: Mapping[str, str], client_id: str, origin: str) -> tuple[SignOnRequest, Refusal | None]:  # noqa: ARG001
        wanted = {"response_type": "code", "code_challenge_method": "S256"}
        wrong = [name for name, value in wanted.items() if parameters.get(name) != value]
        wrong += [name for name in ("request", "request_uri") if name in parameters]
        if wrong or not parameters.get("code_challenge"):
            message = "By the browser's hand an application gets a code alone, with PKCE."
            raise BadRequest("fedcm.not_code_with_pkce", message, expected=str(wanted), received=", ".join(wrong), client_id=client_id)
        return read_request(urlencode({**parameters, "client_id": client_id}))

    return read
