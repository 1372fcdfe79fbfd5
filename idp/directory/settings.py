"""Settings of the directories: flat keys of [directory], so that each can be given by the environment too."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from idp.settings import Duration, PathSetting, SecretSetting, Settings


class IqaSettings(Settings):
    """One IQA whose columns become attributes (5.5)."""

    path: str
    """Its path in iMIS, such as "$/Sso/Profile"."""
    parameters: tuple[str, ...] = ("{username}",)
    """Values of its prompts, all of them and in their order: "{username}", "{id}", or a text as it stands."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our name = the column's alias. Empty: every column, `CE Credits` as ce_credits."""
    prefix: str = ""
    """Put before every name."""
    collect: bool = True
    """True: one value from each row. False: an IQA that gives one row; more are an error."""
    id_column: str = ""
    """Alias of the column with the member's iMIS ID or GUID: rows of others are passed over."""

    @field_validator("path")
    @classmethod
    def _from_the_root(cls, value: str) -> str:
        if not value.startswith("$/"):
            raise ValueError('begins with "$/"')
        return value

    @model_validator(mode="after")
    def _the_members_own(self) -> IqaSettings:
        """S98: rows of this member, and never what they are called by."""
        if not {"{username}", "{id}"} & set(self.parameters):
            raise ValueError('parameters needs "{username}" or "{id}": otherwise it would give everybody\'s rows to everybody')
        if {"imis_id", "username"} & {f"{self.prefix}{name}" for name in self.columns}:
            raise ValueError("an IQA does not say imis_id or username")
        return self


class ImisRestSettings(Settings):
    """Cloud iMIS (EMS) by its REST interface. What no public page tells is a setting; comments name the section of the facts on iMIS."""

    site_url: str = ""
    """Address of the iMIS site, such as "https://members.example.org"."""
    api_base: str = ""
    """Where /api and /token lie, if not at the site itself; on-premise "https://HOST/Asi.Scheduler_iMIS"."""
    token_path: str = "/token"  # noqa: S105  (a path)
    """Path of the token endpoint under api_base."""
    service_username: str = ""
    """User name of the service account: of this service alone, with the roles RemoteService and SysAdmin. It cannot sign in as a member."""
    service_password: SecretSetting | None = None
    """Its password, by reference."""
    allow_http: bool = False
    """Allow an http address: for development only."""
    ca_file: PathSetting | None = None
    """Certificates (PEM) that vouch for iMIS, in place of the system's."""
    connect_timeout: float = 2.0
    """Seconds to wait for a connection."""
    call_timeout: float = 8.0
    """Seconds for one call to iMIS, connection and answer together."""
    operation_timeout: float = 20.0
    """Seconds for everything that one sign-in asks of iMIS."""
    max_body: int = 1024 * 1024
    """Bytes of the largest answer that is read."""
    max_concurrent: int = 20
    """How many sign-ins ask iMIS at once; the others wait their turn."""
    max_waiting: int = 100
    """How many may wait; more are told at once to try again."""
    wait_timeout: float = 5.0
    """Seconds to wait for a turn, and the longest Retry-After of iMIS that is sat out."""
    validate_user_arguments: tuple[str | bool | int, ...] = ("{username}", "{password}")  # 5.2 and 12 row 4: UNKNOWN
    """Arguments of iMIS's ValidateUser, in its order; other texts, numbers and booleans are sent as they stand here."""
    disabled_fields: tuple[str, ...] = ("IsDisabled",)  # 5.2 names none: UNKNOWN
    """Members of iMIS's User that are true when the login is disabled."""
    read_roles: bool = True
    """Ask for the member's security roles: one more call."""
    read_committees: bool = True
    """Ask for the member's groups: one more call."""
    read_contact: bool = False
    """Ask CsContact for member type and paid-through where Party does not have them: one more call."""
    more_attributes: dict[str, str] = Field(default_factory=dict)
    """Further attributes: our name = name among Party's AdditionalAttributes or CsContact's properties, such as { chapter = "Chapter" }."""

    read_subscriptions: bool = False
    """Ask for the member's subscriptions: one more call."""
    iqa: tuple[IqaSettings, ...] = ()
    """IQAs that give attributes: [{ path = "$/Sso/Profile", columns = { chapter = "Chapter" } }]. Keys: see deploy/imis.md."""
    iqa_endpoint: Literal["auto", "query", "iqa"] = "auto"
    """Which service gives IQAs: "query" (20.3.77 and later), "iqa" (2017), or what answers first, remembered for a month."""
    check: Literal["validate_user", "password_grant"] = "validate_user"
    """How a password is checked: UserSecurity's ValidateUser, or the token endpoint, where every member has the role RemoteService."""
    update_password_arguments: tuple[str | bool | int, ...] = ("{username}", "{password}")  # 5.2: UNKNOWN
    """Arguments of iMIS's UpdatePassword, in its order."""
    unlock_user_arguments: tuple[str | bool | int, ...] = ("{username}",)  # 5.2: UNKNOWN
    """Arguments of iMIS's UnlockUser, in its order."""
    password_rule: str = r"(?=.*[0-9])(?=.*[A-Za-z]).{7,}"  # noqa: S105  (5.7, SEEN as iMIS's default)
    """Regular expression that iMIS wants of a new password."""
    password_rule_text: str = "at least 7 characters long and has both letters and numbers"  # noqa: S105
    """The same in words."""
    no_reset_roles: tuple[str, ...] = ("SysAdmin",)
    """Whoever has one of these roles sets their password in iMIS only: an opened mailbox must not open iMIS."""

    soap_path: str = "/AsiCommon/Services/Membership/MembershipWebService.asmx"
    """Path under site_url of the membership service of kind "imis-soap" and of login cookies."""
    soap_check: Literal["ValidateUser", "LoginUser"] = "ValidateUser"
    """Which of its operations checks a password."""
    remember_roles: Duration = 30 * 86400
    """Kind "imis-soap": how long the roles of a sign-in are kept, since iMIS tells them only together with the password."""
    client_id: str = ""
    """Client ID of the client application for sign-in at iMIS itself (Settings > Contacts > Client applications)."""
    client_secret: SecretSetting | None = None
    """Its client secret, by reference."""
    guest_names: tuple[str, ...] = ("GUEST",)  # 3.3: UNKNOWN
    """User names under which iMIS gives tokens for visitors who are not signed in."""
    login_cookie: str = ""
    """Name of iMIS's login cookie, "Login" on 2017, if members signed in to iMIS on our parent domain need not sign in again."""

    @field_validator("password_rule")
    @classmethod
    def _expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error:
            raise ValueError("is not a regular expression") from None
        return value

    @field_validator("site_url", "api_base")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        """Scheme, host and path only: anything else would be lost or sent where it should not."""
        if not value:
            return value
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("is not a web address") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError('an address begins with "https://" and a host')
        if parts.username is not None or parts.query or parts.fragment or any(letter.isspace() for letter in value):
            raise ValueError("an address here has no user name, no query, no fragment and no space")
        return value.rstrip("/")

    @field_validator("token_path", "soap_path")
    @classmethod
    def _path(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError('begins with "/"')
        return value

    @field_validator("connect_timeout", "call_timeout", "operation_timeout", "max_body", "max_concurrent")
    @classmethod
    def _positive(cls, value: float) -> float:
        if value <= 0:
            raise ValueError("is greater than 0")
        return value

    @property
    def base(self) -> str:
        """Where /api and /token lie."""
        return self.api_base or self.site_url

    def problems(self, *, rest: bool = True) -> list[str]:
        """What is missing or wrong when this directory is to be used; without `rest` the service account may be left out."""
        with_rest = rest or bool(self.service_username) or self.service_password is not None
        wanted = ["site_url", *(["service_username", "service_password"] if with_rest else [])]
        found = [f"{name} is missing" for name in wanted if not getattr(self, name)]
        if bool(self.client_id) != (self.client_secret is not None):
            found.append("client_id and client_secret go together")
        if not with_rest and (self.iqa or self.client_id):
            found.append("iqa and client_id need the service account: service_username is missing")
        for name in ("site_url", "api_base"):
            if getattr(self, name).startswith("http:") and not self.allow_http:
                found.append(f"{name} is http: use https, or set allow_http = true for development")
        if "{password}" not in self.update_password_arguments or "{username}" not in self.update_password_arguments:
            found.append("update_password_arguments needs {username} and {password}")
        if "{password}" not in self.validate_user_arguments or "{username}" not in self.validate_user_arguments:
            found.append("validate_user_arguments needs {username} and {password}")
        return found
