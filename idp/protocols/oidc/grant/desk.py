"""TokenDesk: everything behind the token, introspection, revocation and resource endpoints, built once and wired."""

from __future__ import annotations

from idp.audit import Audit
from idp.clock import Now
from idp.keys import KeyRing
from idp.protocols.oidc.grant.access_token import AccessTokens
from idp.protocols.oidc.grant.begin import Beginning
from idp.protocols.oidc.grant.code import CodeGrant
from idp.protocols.oidc.grant.device import Devices
from idp.protocols.oidc.grant.device_sign_on import DeviceSignOn
from idp.protocols.oidc.grant.endpoint import Authenticate, Confirm, TokenEndpoint
from idp.protocols.oidc.grant.exchange import ExchangeGrant
from idp.protocols.oidc.grant.guess import Guesses
from idp.protocols.oidc.grant.inspection import Inspection
from idp.protocols.oidc.grant.refresh import RefreshGrant
from idp.protocols.oidc.grant.refresh_token import RefreshTokens
from idp.protocols.oidc.grant.request import GrantType
from idp.protocols.oidc.grant.resource import CheckHolder, Resource
from idp.protocols.oidc.grant.service import ServiceGrant
from idp.protocols.oidc.grant.settings import CODE, DEVICE, EXCHANGE, REFRESH, SERVICE
from idp.protocols.oidc.grant.standing import Gone, Standing
from idp.protocols.oidc.grant.withdrawal import Withdrawal
from idp.protocols.oidc.provider import OidcProvider
from idp.protocols.oidc.signing import Signer
from idp.sso.client import Clients
from idp.sso.consent import Consents
from idp.sso.session import Sessions
from idp.sso.subject import Subjects
from idp.sso.ticket import Tickets
from idp.store import Store


class TokenDesk:
    """The parts, in the order in which they need one another."""

    def __init__(
        self,
        issuer: str,
        *,
        authenticate: Authenticate,
        provider: OidcProvider,
        clients: Clients,
        keys: KeyRing,
        signer: Signer,
        store: Store,
        sessions: Sessions,
        subjects: Subjects,
        codes: Tickets,
        gone: Gone,
        audit: Audit,
        now: Now,
        confirm: Confirm,
        check_holder: CheckHolder,
    ) -> None:
        standing = Standing(subjects, gone=gone, now=now)
        self.tokens = AccessTokens(
            issuer, store=store, sessions=sessions, keys=keys, signer=signer, clients=clients, exists=standing.exists, now=now
        )
        self.refresh_tokens = RefreshTokens(store, self.tokens, clients=clients, now=now)
        self.withdraw = Withdrawal(store, sessions, self.tokens)
        beginning = Beginning(self.tokens, self.refresh_tokens, provider, standing=standing, now=now)
        self.devices = Devices(issuer, beginning, store=store, sessions=sessions, now=now)
        self.device_sign_on = DeviceSignOn(self.devices, provider)
        grants: dict[str, GrantType] = {
            CODE: CodeGrant(codes, self.refresh_tokens, beginning),
            REFRESH: RefreshGrant(self.refresh_tokens, self.tokens, provider, sessions=sessions, standing=standing, audit=audit),
            SERVICE: ServiceGrant(self.tokens),
            DEVICE: self.devices.grant,
            EXCHANGE: ExchangeGrant(
                self.tokens, provider, sessions=sessions, standing=standing, consents=Consents(store, now=now), now=now
            ),
        }
        self.guesses = Guesses(store, audit=audit, now=now)
        self.endpoint = TokenEndpoint(authenticate, grants, check=signer.check, confirm=confirm)
        self.inspection = Inspection(
            issuer,
            self.tokens,
            self.refresh_tokens,
            clients=clients,
            sessions=sessions,
            exists=standing.exists,
            keys=keys,
            signer=signer,
            now=now,
        )
        self.resource = Resource(issuer, self.tokens, clients=clients, keys=keys, standing=standing, check_holder=check_holder, now=now)
