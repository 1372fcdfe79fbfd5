"""Which database: a MongoDB by its URI, a SQLite file, or `embedded`, which finds the best that this machine can run."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, PlainSerializer

from idp.clock import Now, utc_now
from idp.errors import ConfigError
from idp.secret import Secret
from idp.settings import PathSetting, SecretSetting, Settings
from idp.store import Store
from idp.store.embedded import embedded_store_url, find_mongod, why_not_runnable
from idp.store.mongo import MongoStore
from idp.store.sqlite import SqliteStore

EMBEDDED = "embedded"
_MONGODB = ("mongodb://", "mongodb+srv://")
_SQLITE = "sqlite://"
_FORMS = 'the store is "embedded", "mongodb://...", "mongodb+srv://..." or "sqlite:///absolute/path"'


def _wrapped(value: Any) -> Any:
    return Secret(value) if isinstance(value, str) else value


def _recognised(url: Secret) -> Secret:
    if url.reveal() != EMBEDDED:
        _opener(url.reveal())
    return url


def _shown(url: Secret) -> str:
    """Only a MongoDB's URI may hold a password."""
    text = url.reveal()
    return "***" if text.startswith(_MONGODB) else text


StoreUrl = Annotated[SecretSetting, BeforeValidator(_wrapped), AfterValidator(_recognised), PlainSerializer(_shown, return_type=str)]


class StoreSettings(Settings):
    """[store]: where sessions, tickets and codes wait."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the URL may hold a password

    url: StoreUrl = Secret(EMBEDDED)
    """A MongoDB replica set as "mongodb://..." or "mongodb+srv://..." (6.0 or later; the path names the database, "idp" if there is
    none), a file as "sqlite:///absolute/path", or "embedded": a private mongod in `folder`, or SQLite where none can run. Production
    refuses "embedded". Given as it is, or as { env = "NAME" } or { file = "PATH" } if there is a password in it."""
    folder: PathSetting = Path("data")
    """Folder of the embedded database; readable by the server's user alone."""
    timeout: int = 5000
    """Milliseconds after which the database counts as not answering."""


@dataclass(frozen=True)
class Choice:
    """The database that was chosen, and why, in words for the log. `url` goes to worker processes; it may hold a password."""

    url: str = field(repr=False)
    why: str


def open_store(url: str, now: Now = utc_now, *, timeout: int = 5000) -> Store:
    """The store behind a URL, in any process; nothing is connected yet. `timeout` is in milliseconds. ConfigError: no such URL."""
    try:
        return _opener(url)(now, timeout)
    except ValueError as error:
        raise ConfigError([f"store.url: {error}"]) from None


@contextmanager
def running_store(settings: StoreSettings, *, production: bool, lasting: bool = False) -> Iterator[Choice]:
    """The database of the configuration, running as long as the block does.

    `lasting` is for servers, which do not share an embedded mongod that a short command has started. Raises ConfigError, EmbeddedProblem.
    """
    url = settings.url.reveal()
    if url != EMBEDDED:
        yield Choice(url, "the configuration names it")
    elif production:
        raise ConfigError(['store.url: "embedded" is for trials. For production name a MongoDB replica set: mongodb://...'])
    else:
        with _embedded(settings.folder.absolute(), lasting=lasting) as choice:
            yield choice


@contextmanager
def _embedded(folder: Path, *, lasting: bool) -> Iterator[Choice]:
    """A folder stays with the database it was begun with: else what was registered would be gone one day, for no reason seen."""
    file = folder / "idp.sqlite"
    reason = _why_sqlite(folder, file)
    if reason:
        yield Choice(f"{_SQLITE}{urllib.parse.quote(str(file))}", f"SQLite in {file}, since {reason}")
    else:
        with embedded_store_url(folder, lasting=lasting) as url:
            yield Choice(url, f"a private mongod in {folder}")


def _why_sqlite(folder: Path, file: Path) -> str | None:
    if (folder / "mongod").exists():
        return None
    if file.exists():
        return "the folder was begun with it"
    return why_not_runnable(find_mongod())


def _opener(url: str) -> Callable[[Now, int], Store]:
    """What opens the store behind a URL. ValueError if it is not one; the text never quotes it, since it may hold a password."""
    if url.startswith(_MONGODB):
        database = _database(url)
        return lambda now, timeout: MongoStore(url, database=database, now=now, timeout=timeout)
    if url.startswith(f"{_SQLITE}/"):
        path = Path(urllib.parse.unquote(url.removeprefix(_SQLITE)))
        return lambda now, timeout: SqliteStore(path, now=now, timeout=timeout)
    raise ValueError(_FORMS)


def _database(url: str) -> str:
    """The database that the path of the URI names, else `idp`."""
    try:
        path = urllib.parse.urlsplit(url).path.strip("/")
    except ValueError:
        raise ValueError("the MongoDB URI cannot be read: user name and password must be percent-encoded") from None
    return urllib.parse.unquote(path) or "idp"
