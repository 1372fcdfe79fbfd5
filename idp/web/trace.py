"""The id of a request: in every line that it leaves in a log, and in the X-Request-ID header of its answer."""

from __future__ import annotations

from flask import Flask, Response, request

from idp.log import begin_request, end_request, request_id
from idp.web.address import Proxies

_HEADER = "X-Request-ID"


def trace(app: Flask, proxies: Proxies) -> None:
    """A proxy's own id is taken from a trusted one alone: a stranger's would mix requests up in the log (S119)."""

    @app.before_request
    def begin() -> None:
        begin_request(request.headers.get(_HEADER, "") if proxies.trusts(request.remote_addr or "") else "")

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers[_HEADER] = request_id()
        return response

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        end_request()
