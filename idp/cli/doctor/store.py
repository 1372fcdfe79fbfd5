"""The database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from idp.cli.doctor.advice import Found, Look, Patient
from idp.errors import IdpError
from idp.secret import new_id
from idp.store.server import DatabaseServer, Inspectable
from idp.web.settings import is_loopback

_SKEW = 2  # seconds by which clocks may differ (F16)
_GRAVE_SKEW = 30
_OLDEST_WIRE = 17  # MongoDB 6.0
_MEMBERS = 3


def writes(patient: Patient) -> Iterator[Found]:
    if patient.parts is not None:
        store, key = patient.parts.store, f"doctor:{new_id()}"
        try:
            came_back = store.put_new("setting", key, {"at": 1}, expires=patient.now() + 60) and store.take("setting", key) is not None
        except IdpError as error:
            came_back = False
            yield Found(f"it takes no writes ({error.received})", "look at the database's log and at its user's rights", serious=True)
            return
        if not came_back:
            yield Found("what was written did not come back", "look at the database's log and at its user's rights", serious=True)


def in_clear(patient: Patient) -> Iterator[Found]:
    url = patient.config.store.url.reveal()
    hosts = url.removeprefix("mongodb://").rpartition("@")[2].partition("/")[0].split(",")
    local = all(is_loopback(host.rpartition(":")[0] or host) or host.startswith("%2F") for host in hosts)
    if url.startswith("mongodb://") and not local and "tls=true" not in url.lower():
        yield Found("sessions travel to the database without TLS", "add tls=true to the URI, unless that network is yours alone")


def alone(patient: Patient) -> Iterator[Found]:
    url = patient.config.store.url.reveal()
    if url.startswith("mongodb://") and "replicaSet=" not in url:
        detail = "the URI names no replica set: without one a fail-over loses requests, and writes may be lost"
        yield Found(detail, "add replicaSet=NAME to the URI, and name every member")


def standalone(patient: Patient) -> Iterator[Found]:
    for server in _inspected(patient):
        if not server.replica_set:
            detail = "the MongoDB belongs to no replica set: nobody takes over when it stops, and no write is tried again"
            yield Found(detail, "start it with --replSet rs0, and once in mongosh: rs.initiate()", serious=patient.config.server.production)


def few_members(patient: Patient) -> Iterator[Found]:
    for server in _inspected(patient):
        if patient.config.server.production and server.replica_set and server.members < _MEMBERS:
            detail = f"{server.members} members of the replica set {server.replica_set} hold data: with one away, nothing can be written"
            yield Found(detail, "add members until three hold data; an arbiter holds none")


def clock(patient: Patient) -> Iterator[Found]:
    for server in _inspected(patient):
        skew = abs(server.clock - patient.now())
        if skew > _SKEW:
            detail = f"the clocks of this machine and of the database differ by {skew} seconds (F16)"
            yield Found(detail, "run an NTP service on both", serious=skew > _GRAVE_SKEW)


def old_release(patient: Patient) -> Iterator[Found]:
    for server in _inspected(patient):
        if server.wire_version < _OLDEST_WIRE:
            yield Found("the MongoDB is older than 6.0", "upgrade it: we are tested with 6.0 and later")


def one_machine(patient: Patient) -> Iterator[Found]:
    if patient.config.server.production and patient.config.store.url.reveal().startswith("sqlite://"):
        detail = "everything is in one file: no second instance can take over, and the disk is the only copy"
        yield Found(detail, "use a MongoDB replica set, or copy the file every night as deploy/README.md says")


def _inspected(patient: Patient) -> Iterator[DatabaseServer]:
    if patient.parts is not None and isinstance(patient.parts.store, Inspectable):
        yield patient.parts.store.inspect()


LOOKS: Mapping[str, Look] = {
    "store.standalone": standalone,
    "store.write": writes,
    "store.in_clear": in_clear,
    "store.alone": alone,
    "store.few_members": few_members,
    "store.clock": clock,
    "store.old_release": old_release,
    "store.one_machine": one_machine,
}
