"""Several directories asked in order: members in iMIS, staff elsewhere. Each keeps its ids apart by a prefix (S39)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from idp.directory import (
    AccountRefused,
    Accounts,
    Directory,
    DirectoryUnavailable,
    Drift,
    DriftReader,
    LineReader,
    LineState,
    NameFinder,
    NewPerson,
    SignInBarred,
    Subject,
)
from idp.directory.credential import fold
from idp.secret import Secret


@dataclass(frozen=True)
class NamedDirectory:
    """One of them. `only_names` are patterns such as *@staff.example.org: names that are asked here, and nowhere without such a pattern.
    `form` is False where members sign in at iMIS itself: then no password that is typed here is shown to it."""

    name: str
    directory: Directory
    prefix: str = ""
    only_names: tuple[str, ...] = ()
    form: bool = True

    def claims(self, username: str) -> bool:
        return any(fnmatchcase(fold(username), fold(pattern)) for pattern in self.only_names)


class SeveralDirectories:
    """The first that knows the password says who it is."""

    def __init__(self, directories: Sequence[NamedDirectory]) -> None:
        self.directories = tuple(directories)

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        """None only if all that may know the name said so; one that is down, without another's yes, is DirectoryUnavailable (F12).
        What one says against it, SignInBarred, counts if no other says yes."""
        down: DirectoryUnavailable | SignInBarred | None = None
        for named in self.asked(username):
            try:
                subject = named.directory.authenticate(username, password)
            except DirectoryUnavailable as error:
                down = down or _of(named, error)
                continue
            except SignInBarred as error:
                down = error
                continue
            if subject is not None:
                return self.ours(named, subject)
        if down is not None:
            raise down
        return None

    def find(self, subject_id: str) -> Subject | None:
        named = self.owner(subject_id)
        if named is None:
            return None
        try:
            subject = named.directory.find(subject_id.removeprefix(named.prefix))
        except DirectoryUnavailable as error:
            raise _of(named, error) from None
        return self.ours(named, subject) if subject else None

    def find_by_username(self, username: str) -> Subject | None:
        """In the directories that may know the name, the first that does. Raises DirectoryUnavailable as soon as one cannot say."""
        for named in self.claimants(username):
            if isinstance(named.directory, NameFinder):
                subject = self._named_so(named, named.directory, username)
                if subject is not None:
                    return subject
        return None

    def _named_so(self, named: NamedDirectory, finder: NameFinder, username: str) -> Subject | None:
        try:
            subject = finder.find_by_username(username)
        except DirectoryUnavailable as error:
            raise _of(named, error) from None
        return self.ours(named, subject) if subject else None

    def check(self) -> str:
        """A sentence of each. Raises DirectoryUnavailable with the first that does not answer."""
        said = []
        for named in self.directories:
            try:
                said.append(f"{named.name}: {named.directory.check()}")
            except DirectoryUnavailable as error:
                raise _of(named, error) from None
        return " ".join(said)

    def lines(self) -> dict[str, LineState]:
        """Of all that have any."""
        able = ((named.name, named.directory) for named in self.directories if isinstance(named.directory, LineReader))
        return {f"{name}: {line}": state for name, reader in able for line, state in reader.lines().items()}

    def drift(self) -> list[Drift]:
        """Of all that can tell. Raises DirectoryUnavailable with the first that does not answer."""
        found = []
        for named in self.directories:
            try:
                drift = named.directory.drift() if isinstance(named.directory, DriftReader) else []
            except DirectoryUnavailable as error:
                raise _of(named, error) from None
            found += [replace(each, sentence=f"{named.name}: {each.sentence}") for each in drift]
        return found

    def asked(self, username: str) -> list[NamedDirectory]:
        """Those to which a password typed here may be shown."""
        return [named for named in self.claimants(username) if named.form]

    def claimants(self, username: str) -> list[NamedDirectory]:
        """A name that a pattern claims belongs there alone; all others to those without patterns."""
        claiming = [named for named in self.directories if named.claims(username)]
        return claiming or [named for named in self.directories if not named.only_names]

    def owner(self, subject_id: str) -> NamedDirectory | None:
        """The directory with the longest prefix that the id begins with."""
        fitting = [named for named in self.directories if subject_id.startswith(named.prefix)]
        return max(fitting, key=lambda named: len(named.prefix), default=None)

    def ours(self, named: NamedDirectory, subject: Subject) -> Subject:
        """With its prefix and the directory's name as an attribute. An id that would lead to another directory is nobody's."""
        full = f"{named.prefix}{subject.id}"
        if self.owner(full) is not named:
            raise DirectoryUnavailable(f"{named.name}: an id that begins like the ids of another directory")
        return replace(subject, id=full, attributes={**subject.attributes, "directory": (named.name,)})


class SeveralAccounts:
    """Accounts of the one directory among several that can make them. Those of the others are left alone."""

    def __init__(self, several: SeveralDirectories, named: NamedDirectory, accounts: Accounts) -> None:
        self._several = several
        self._named = named
        self._accounts = accounts

    def find_by_email(self, email: str) -> list[Subject]:
        return [self._several.ours(self._named, subject) for subject in self._accounts.find_by_email(email)]

    def find_by_username(self, username: str) -> Subject | None:
        """Nobody of the other directories: their passwords are not set here."""
        if self._named not in self._several.claimants(username):
            return None
        subject = self._accounts.find_by_username(username)
        return self._several.ours(self._named, subject) if subject else None

    def create_account(self, person: NewPerson, username: str, password: Secret) -> Subject:
        """Refused for a name that another directory claims: it would never be asked here."""
        if self._named not in self._several.claimants(username):
            raise AccountRefused("directory.account_refused", "Accounts with such a user name are not made here. Please choose another.")
        return self._several.ours(self._named, self._accounts.create_account(person, username, password))

    def set_password(self, subject: Subject, password: Secret) -> None:
        if self._several.owner(subject.id) is not self._named:
            raise AccountRefused("directory.reset_forbidden", "The password of this account cannot be changed here: please ask staff.")
        self._accounts.set_password(replace(subject, id=subject.id.removeprefix(self._named.prefix)), password)


def _of(named: NamedDirectory, error: DirectoryUnavailable) -> DirectoryUnavailable:
    return DirectoryUnavailable(f"{named.name}: {error.received}", retry_after=error.retry_after)
