"""Settings of the simulated iMIS: each is a thing that no public page settles, or that differs between builds."""

from __future__ import annotations

from typing import Literal

from idp.settings import Settings


class SimulatorSettings(Settings):
    """Defaults are the proposals of the facts on iMIS, section 12; the section in brackets says where a setting comes from."""

    generation: Literal["ems", "2017"] = "ems"
    """Which iMIS: on 2017 there is no UserSecurity and no Query (5.2 and 5.5, SEEN). Before 20.2.46: bare_arrays too."""
    password_rule: str = r"(?=.*[0-9])(?=.*[A-Za-z]).{7,}"
    """What a new password must match (5.7, SEEN as default)."""
    password_rule_text: str = "The password must be at least 7 characters long and contain both letters and numbers."
    """How iMIS says it (5.7, SEEN in substance)."""
    soap_namespace: str = "http://tempuri.org/"
    """Target namespace of the membership web service (7.2 and 12 row 7, UNKNOWN)."""
    guest_mode: bool = False
    """Whether the SSO page gives a guest's refresh token to visitors who are not signed in (3.3, SEEN); otherwise it sends to sign-in."""
    guest_name: str = "GUEST"
    """`userName` of such a token (3.3, UNKNOWN)."""
    cookie_domain: str = ""
    """Parent domain for which the cookie `Login` is set (3.6: the sharing of it is SEEN); empty: for this host alone."""
    foreign_returns: bool = False
    """Whether the sign-in page goes back to an address of another site (3.3 shows paths only: UNKNOWN; signing out does, 3.5, SEEN)."""
    remote_service_role: str = "RemoteService"
    """The role that the password grant asks for (2.1, SEEN); empty: none, as where every member has it."""
    token_seconds: int = 1199
    """`expires_in` of an access token (2.1, SEEN)."""
    refresh_seconds: int = 3600
    """Life of a refresh token (2.4: 1 hour, SEEN for 20.3)."""
    refresh_reuse: Literal["allow", "once"] = "allow"
    """Whether a refresh token may be used again (2.3 and 12 row 2, UNKNOWN)."""
    client_applications: tuple[tuple[str, str], ...] = (("idp", "demo"),)
    """Client ID and client secret of Settings > Contacts > Client applications (3.2); in the clear, for this is a demo."""
    login_redirect_urls: tuple[tuple[str, str], ...] = ()
    """Client ID and Login redirect URL, to which the SSO page posts (3.2)."""
    refused_text: str = "The user name or password is incorrect."
    """`error_description` of every refusal at /token (2.2, UNKNOWN); see verbose_refusals."""
    verbose_refusals: bool = False
    """Whether `error_description` tells why: locked, disabled, no RemoteService (2.2, UNKNOWN)."""
    bad_attempts: int = 5
    """Wrong passwords after which a login is locked (5.7, SEEN in a sample configuration)."""
    attempt_window: int = 600
    """Seconds in which they must fall (5.7, UNKNOWN; ASP.NET: 10 minutes)."""
    lock_seconds: int = 600
    """Seconds until the lock opens by itself; 0: only UnlockUser opens it (5.7 and 12 row 13, UNKNOWN)."""
    expired_usernames: tuple[str, ...] = ()
    """Logins whose password is too old: LoginUser says `Expired` for the right one, ValidateUser no (7.2: UNKNOWN)."""
    validate_user_arguments: tuple[Literal["username", "password", ""], ...] = ("username", "password")
    """Positions of ValidateUser's arguments; "" is one that is passed over (5.2 and 12 row 4, UNKNOWN)."""
    typed_results: bool = False
    """Whether a boolean Result is wrapped in `{"$type", "$value"}` (4.1 has both, 5.2 is silent: UNKNOWN)."""
    execute_type: str = "Asi.Soa.Core.DataContracts.ServiceResponse, Asi.Contracts"
    """`$type` of the answer of _execute (4.5 and 12 row 5, UNKNOWN)."""
    not_allowed_status: Literal[401, 403] = 401
    """Status for a caller without the rights (4.6: 401 SEEN, 403 INFERRED)."""
    admin_role: str = "SysAdmin"
    """Role that UserSecurity asks of its caller (5.2, INFERRED)."""
    disabled_field: str = "IsDisabled"
    """Member of User that says a login is disabled; absent when false (5.2 does not name it: UNKNOWN)."""
    disabled_validates: bool = False
    """Whether ValidateUser says true for a disabled login (5.2: "enforced at authentication", SEEN; for this operation UNKNOWN)."""
    guid_roles: bool = True
    """Whether a GUID stands among the roles (7.2, SEEN for SOAP; for REST INFERRED)."""
    bare_arrays: bool = False
    """Collections as bare arrays, as before 20.2.46 (4.1, SEEN)."""
    false_members: bool = True
    """Whether members that are false are written; otherwise they are absent like nulls (4.1, INFERRED)."""
    empty_group_status: Literal[200, 404] = 200
    """Status of a list of groups without an entry (4.2: both SEEN)."""
    page_limit: int = 100
    """Entries of a page if none is asked for (4.2, SEEN)."""
    page_maximum: int = 500
    """Entries of a page at most; a larger limit is cut to it (4.2: 500 SEEN, cut INFERRED)."""
    unknown_service_status: int = 400
    """Status of "There is no service defined for ..." (4.6: the text is SEEN, the status UNKNOWN)."""
