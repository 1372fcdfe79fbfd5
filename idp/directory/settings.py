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
    required: bool = True
    """False: when this IQA cannot be read, its attributes are left out and the sign-in goes on. Not for what an entry rule looks at."""

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
    late_timeout: float = 2.5
    """The same while iMIS leaves such calls unanswered: whoever signs in then is told so within 3 seconds."""
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
    group_classes: dict[str, str] = Field(default_factory=dict)
    """Groups by class: our name = GroupClassId, such as { chapters = "CHAPTER" }; one more call each, by FindRelationships."""
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
    locked_answers: tuple[str, ...] = ()  # 7.2 and 12 row 7: UNKNOWN; "LockedOut" is the proposal
    """Words of LoginUser that mean a locked login. The page then says so; whoever tries names learns that this one exists."""
    expired_answers: tuple[str, ...] = ()  # 7.2 and 12 row 7: UNKNOWN; "Expired" is the proposal
    """Words of LoginUser that mean a password that is right and too old."""
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
    sign_in: Literal["form", "imis-redirect", "imis-cookie"] = "form"
    """Where members type their password: on our page; on iMIS's page, which then posts a refresh token (client_id); or on iMIS's page,
    and its login cookie says who they are (login_cookie)."""
    sign_in_url: str = ""
    """That page of iMIS. Empty: for "imis-redirect" site_url/CLIENT_ID.aspx, the page with the Single Sign-On item; for "imis-cookie"
    iMIS 2017's login page. {return} stands for the way back, which "imis-cookie" needs."""
    logout_url: str = ""
    """iMIS's own sign-out, which the browser visits when a member signs out here; {return} stands for the way back. Empty: not visited."""
    account_name: str = ""
    """What members call their account there: "Sign in with your ... account". Empty: the association's name."""

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

    @field_validator("sign_in_url", "logout_url")
    @classmethod
    def _page(cls, value: str) -> str:
        """Of a page that the browser is sent to: a way back that iMIS is not told strands the member there."""
        if value and (not re.match(r"https?://[^/?#@\s{}]+(?![^/?#])", value) or any(letter.isspace() for letter in value)):
            raise ValueError('an address begins with "https://" and a host')
        return value

    @model_validator(mode="after")
    def _come_back(self) -> ImisRestSettings:
        for name in ("logout_url", *(["sign_in_url"] if self.sign_in == "imis-cookie" else [])):
            if getattr(self, name) and "{return}" not in getattr(self, name):
                raise ValueError(f"{name} needs {{return}}, which stands for the way back")
        return self

    @field_validator("token_path", "soap_path")
    @classmethod
    def _path(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError('begins with "/"')
        return value

    @field_validator("connect_timeout", "call_timeout", "late_timeout", "operation_timeout", "max_body", "max_concurrent")
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
        if self.sign_in == "imis-redirect" and not self.client_id:
            found.append('sign_in = "imis-redirect" needs client_id and client_secret')
        if self.sign_in == "imis-cookie" and not self.login_cookie:
            found.append('sign_in = "imis-cookie" needs login_cookie')
        for name in ("site_url", "api_base", "sign_in_url", "logout_url"):
            if getattr(self, name).startswith("http:") and not self.allow_http:
                found.append(f"{name} is http: use https, or set allow_http = true for development")
        if "{password}" not in self.update_password_arguments or "{username}" not in self.update_password_arguments:
            found.append("update_password_arguments needs {username} and {password}")
        if "{password}" not in self.validate_user_arguments or "{username}" not in self.validate_user_arguments:
            found.append("validate_user_arguments needs {username} and {password}")
        return found
