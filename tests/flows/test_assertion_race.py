"""Client assertions on the real server: of 50 parallel calls with one assertion over 4 workers, one is proven (S28)."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.flows.test_refresh_race import run_all
from tests.server import ROUNDS, Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]

CALLERS = 50
KEY = ECKey.generate_key("P-256", {"kid": "k1"})
CLIENT = """
[clients.robot{number}.oidc]
grant_types = ["client_credentials"]
token_endpoint_auth_method = "private_key_jwt"
tokens = {{ service_scopes = ["jobs"] }}
jwks = {{ keys = [{{ {members} }}] }}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    members = ", ".join(f'{name} = "{value}"' for name, value in KEY.as_dict(private=False).items())
    running = Server(
        tmp_path_factory.mktemp("race"), workers=4, more="".join(CLIENT.format(number=number, members=members) for number in range(ROUNDS))
    )
    yield running
    running.stop()


def assertion(server: Server, client: str) -> str:
    now = int(time.time())
    audience = f"http://127.0.0.1:{server.port}"
    claims = {"iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60, "jti": "one"}
    return jwt.encode({"alg": "ES256", "kid": "k1"}, claims, KEY)


def at_once(server: Server, proof: str) -> list[int]:
    form = {"grant_type": "client_credentials", "client_assertion": proof}
    form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    statuses: list[int] = []
    ready = threading.Barrier(CALLERS)

    def call() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.connect()
        ready.wait()
        connection.request("POST", "/oauth/token", urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        told = json.loads(response.read())
        connection.close()
        assert response.status == 200 or told["error"] == "invalid_client"
        statuses.append(response.status)

    run_all(call, CALLERS)
    return statuses


def test_S28_of_50_parallel_calls_with_one_assertion_over_4_workers_one_is_proven(server: Server) -> None:
    """Each round has a client of its own: whoever fails 30 times is not looked at for a minute (429)."""
    for number in range(ROUNDS):
        statuses = at_once(server, assertion(server, f"robot{number}"))
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 401, 429}
