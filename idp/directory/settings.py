"""Settings of the directories: flat keys of [directory], so that each can be given by the environment too."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from idp.settings import PathSetting, SecretSetting, Settings


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

    @field_validator("token_path")
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

    def problems(self) -> list[str]:
        """What is missing or wrong when this directory is to be used."""
        found = [f"{name} is missing" for name in ("site_url", "service_username", "service_password") if not getattr(self, name)]
        for name in ("site_url", "api_base"):
            if getattr(self, name).startswith("http:") and not self.allow_http:
                found.append(f"{name} is http: use https, or set allow_http = true for development")
        if "{password}" not in self.validate_user_arguments or "{username}" not in self.validate_user_arguments:
            found.append("validate_user_arguments needs {username} and {password}")
        return found
