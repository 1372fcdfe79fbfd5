"""`idp run`: the server. Starts the embedded database if there is one, then the workers; stays in the foreground; stops gracefully."""

from __future__ import annotations

import os
import tempfile

import click
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

import idp.worker  # loaded before the workers are forked, so that they share its memory
from idp.cli.output import command_options, load_config, say
from idp.cli.rotation import making
from idp.config import Loaded
from idp.errors import ConfigError
from idp.keys import USES, KeyRing
from idp.log import SERVER_LOG
from idp.protocols.oidc.signing import signing_problems
from idp.store.choice import running_store
from idp.web.crowd import THREADS
from idp.web.metric import FOLDER_VARIABLE

_CONNECTIONS = 2048  # of one worker; one more waits until the kernel takes it
_HEADERS_WITHIN = 30_000  # milliseconds that a request's headers may take, and an idle connection may stay (F23)
_LARGEST_HEADERS = 64 * 1024  # a signed SAML request in a URL may be long
_MEMORY = "/dev/shm"  # noqa: S108  (a folder of our own is made in it)
"""For figures, which are written through a map: on a disk that is full, that would kill a worker (F9)."""
_DRAIN = 20  # seconds that requests in flight may take after SIGTERM (F3)


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Listen here instead of where [server] listen says.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes.")
@command_options
def run(listen: str | None, workers: int | None) -> None:
    """Run the server in the foreground, until SIGTERM or Ctrl-C."""
    loaded = load_config()
    serve(loaded, listen=listen, workers=workers)


def serve(loaded: Loaded, *, listen: str | None = None, workers: int | None = None, target: str = "idp.worker:worker_app") -> None:
    """Serves until it is told to stop. `target` is the factory that makes a worker's application."""
    server = loaded.config.server
    host, port = parse_listen(listen or server.listen)
    idp.worker.telemetry_type(loaded.config.telemetry)  # what is not installed stops the start here, not each worker
    prepare_keys(loaded)
    with (
        running_store(loaded.config.store, production=server.production, lasting=True) as choice,
        tempfile.TemporaryDirectory(prefix="idp-metrics-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as figures,
    ):
        os.environ[FOLDER_VARIABLE] = figures  # workers keep their figures side by side, so that any of them can tell all
        os.environ[idp.worker.CONFIG_VARIABLE] = str(loaded.path)
        os.environ[idp.worker.STORE_VARIABLE] = choice.url
        say(f"store: {choice.why}")
        if not server.secure:
            say(f"WARNING: {server.url} is plain http. Passwords and cookies are not protected: for trials on this machine only.")
        say(f"imis-idp serves {server.url} on {host}:{port}")
        Granian(
            target,
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=workers or server.workers,
            blocking_threads=THREADS,
            backpressure=_CONNECTIONS,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADERS_WITHIN, max_buffer_size=_LARGEST_HEADERS),
            factory=True,
            respawn_failed_workers=True,
            respawn_interval=0.2,
            workers_kill_timeout=_DRAIN,
            websockets=False,
            log_level=LogLevels.warning,
            log_dictconfig=SERVER_LOG,
        ).serve()


def prepare_keys(loaded: Loaded) -> None:
    """The first key is made when there is none at all; a folder that cannot be used stops the start with its sentence, and so does an
    application that wants an algorithm for which there is no key."""
    ring = KeyRing(loaded.config.keys.folder)
    if ring.create_if_empty(**making(loaded)):
        ring.publish(uses=USES, **making(loaded))
        say(f"keys: made the first signing key in {loaded.config.keys.folder}, and the next")
    ring.current  # noqa: B018  raises KeyProblem where nothing can sign
    if problems := signing_problems(loaded.file_clients(), ring):
        raise ConfigError(problems)


def parse_listen(text: str) -> tuple[str, int]:
    """HOST:PORT, [IPv6]:PORT. Raises ConfigError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError([f'listen: "{text}" is not HOST:PORT, such as 127.0.0.1:8080'])
    return host.strip("[]"), int(port)
