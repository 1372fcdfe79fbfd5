"""Which directory: read from [directory], opened once; and which abilities it has as it is set up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field, model_validator

from idp.clock import Now
from idp.directory import Accounts, CookieReader, Directory, Subject, TicketExchange
from idp.directory.door import Door, Exit, Ways, make_door, make_exit
from idp.directory.imis_hosted import ImisSoapDirectory
from idp.directory.imis_rest import ImisRestDirectory
from idp.directory.people import PeopleDirectory
from idp.directory.settings import ImisRestSettings
from idp.directory.several import NamedDirectory, SeveralAccounts, SeveralDirectories
from idp.secret import Secret
from idp.settings import PathSetting, Settings
from idp.store import Store


class _Kind(Settings):
    """What stands first in the section."""

    kind: Literal["people", "imis-rest", "imis-soap", "several"]
    """"imis-rest": cloud iMIS (EMS). "imis-soap": iMIS 2017. "people": a TOML file, for trials. "several": those of `named`, in order."""
    people: PathSetting | None = None
    """The file of kind "people". Passwords stand in it in the clear: for trials only."""


class NamedSettings(ImisRestSettings, _Kind):
    """One of several directories: [directory.named.NAME]."""

    prefix: str = Field(default="", pattern=r"^$|^[A-Za-z0-9_-]{1,32}:$")
    """Put before every id of this directory, such as "staff:"; one directory may have none."""
    only_names: tuple[str, ...] = ()
    """Patterns of user names, such as "*@staff.example.org", that are asked here and in no directory without patterns."""

    @model_validator(mode="after")
    def _complete(self) -> NamedSettings:
        problems = self._missing()
        if problems:
            raise ValueError(f'with kind = "{self.kind}": {"; ".join(problems)}')
        return self

    def _missing(self) -> list[str]:
        if self.kind == "several":
            return ["not inside another: a directory of several is of another kind"]
        return _problems(self)


class DirectorySettings(ImisRestSettings, _Kind):
    """[directory]: who people are. Flat, so that the environment can give each key."""

    named: dict[str, NamedSettings] = Field(default_factory=dict)
    """Directories of kind "several", asked in this order: [directory.named.members] and so on, each with prefix and only_names."""

    @model_validator(mode="after")
    def _complete(self) -> DirectorySettings:
        if self.kind == "several":
            problems = self._clashes()
        elif self.named:
            problems = ['named belongs to kind = "several"']
        else:
            problems = _problems(self)
        if problems:
            raise ValueError(f'with kind = "{self.kind}": {"; ".join(problems)}')
        return self

    def _clashes(self) -> list[str]:
        prefixes = [each.prefix.casefold() for each in self.named.values()]
        found = [] if self.named else ["named is missing: [directory.named.members] and so on"]
        if len(set(prefixes)) < len(prefixes):
            found.append("every directory needs a prefix of its own, and one may have none")
        return found

    @property
    def for_trials(self) -> bool:
        """Whether passwords come from a file, here or in one of several."""
        return self.kind == "people" or any(each.kind == "people" for each in self.named.values())


def _problems(settings: DirectorySettings | NamedSettings) -> list[str]:
    """Of one directory."""
    if settings.kind != "people":
        return settings.problems(rest=settings.kind == "imis-rest")
    problems = [] if settings.people else ["people is missing: name the file"]
    return problems if settings.sign_in == "form" else [*problems, f'sign_in = "{settings.sign_in}" belongs to iMIS']


def open_directory(settings: DirectorySettings, *, store: Store, now: Now) -> Directory:
    """The directory that the settings name. Raises ConfigError if a people file cannot be used."""
    if settings.kind != "several":
        return _open_one(settings, store=store, now=now)
    return SeveralDirectories(
        [
            NamedDirectory(name, _open_one(each, store=store, now=now), each.prefix, each.only_names, form=each.sign_in == "form")
            for name, each in settings.named.items()
        ]
    )


def _open_one(settings: DirectorySettings | NamedSettings, *, store: Store, now: Now) -> Directory:
    if settings.kind == "people":
        assert settings.people is not None  # _complete saw to it
        return PeopleDirectory(settings.people)
    if settings.kind == "imis-soap":
        return ImisSoapDirectory(settings, store=store, now=now)
    return ImisRestDirectory(settings, store=store, now=now)


def accounts_of(directory: Directory) -> Accounts | None:
    """The ability to make accounts; only cloud iMIS has it (5.2). Of several directories, the first that has it."""
    if isinstance(directory, ImisRestDirectory):
        return directory
    if not isinstance(directory, SeveralDirectories):
        return None
    able = ((named, accounts_of(named.directory)) for named in directory.directories)
    return next((SeveralAccounts(directory, named, accounts) for named, accounts in able if accounts), None)


def ticket_exchange_of(directory: Directory, settings: DirectorySettings | NamedSettings) -> TicketExchange | None:
    """The ability to take iMIS's refresh tokens, if a client application is set up."""
    return directory if isinstance(directory, ImisRestDirectory | ImisSoapDirectory) and settings.client_id else None


def cookie_reader_of(directory: Directory, settings: DirectorySettings | NamedSettings) -> CookieReader | None:
    """The ability to read iMIS's login cookie, if its name is set."""
    return directory if isinstance(directory, ImisRestDirectory | ImisSoapDirectory) and settings.login_cookie else None


def ways_of(directory: Directory, settings: DirectorySettings) -> Ways:
    """How members sign in: by our form, at iMIS, or some here and some there; and what they are signed out of besides."""
    if not isinstance(directory, SeveralDirectories):
        door, way_out = _door("", settings, directory), make_exit("", settings)
        return Ways((door,) if door else (), form=door is None, exit_of=lambda _: way_out, exits=_known([way_out]))
    named = {each.name: each for each in directory.directories}
    doors = [_door(name, each, named[name].directory, _ours(directory, named[name])) for name, each in settings.named.items()]
    exits = {name: make_exit(name, each) for name, each in settings.named.items()}

    def exit_of(subject_id: str) -> Exit | None:
        owner = directory.owner(subject_id)
        return exits[owner.name] if owner else None

    form = any(each.form for each in directory.directories)
    return Ways(tuple(door for door in doors if door), form, exit_of, _known(list(exits.values())))


def _known(exits: list[Exit | None]) -> tuple[Exit, ...]:
    return tuple(each for each in exits if each and each.url)


def _ours(several: SeveralDirectories, named: NamedDirectory) -> Callable[[Subject], Subject]:
    return lambda subject: several.ours(named, subject)


def _as_it_is(subject: Subject) -> Subject:
    return subject


def _door(
    name: str, settings: DirectorySettings | NamedSettings, directory: Directory, ours: Callable[[Subject], Subject] = _as_it_is
) -> Door | None:
    """None where our own form takes the password."""
    if settings.sign_in == "form":
        return None
    exchange, reader = ticket_exchange_of(directory, settings), cookie_reader_of(directory, settings)
    ask = exchange.exchange if settings.sign_in == "imis-redirect" and exchange else reader.subject_of_cookie if reader else None
    assert ask is not None  # the settings' `problems` saw to it

    def whose(proof: Secret) -> Subject | None:
        subject = ask(proof)
        return ours(subject) if subject else None

    return make_door(name, settings, whose)
