"""Faults that are put into `idp/sso/` by hand, one at a time, to see who notices: `python -m tests.machine.mutants`.

Each is applied to a copy of the project in a temporary folder; the tree is never touched. It prints for each whether the session machine
alone caught it, and whether the other tests in tests/sso did. `--only 3 7` runs some, `--steps` says how long the machine looks for each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
MACHINE = "tests/sso/test_machine.py"


@dataclass(frozen=True)
class Mutant:
    """`old` occurs once in the file under idp/sso/."""

    file: str
    old: str
    new: str
    sentence: str

    def path(self, project: Path) -> Path:
        return project / "idp" / "sso" / self.file


MUTANTS = (
    Mutant(
        "ticket.py",
        'if record["client_id"] != client_id:',
        "if False:",
        "Whoever has a ticket redeems it, whichever client it was made for.",
    ),
    Mutant(
        "ticket.py",
        "        if stored is None:\n            raise self._unknown(key)\n",
        "        if stored is None:\n            raise self._unknown(key)\n"
        '        if stored.record["client_id"] != client_id:\n'
        '            raise TicketRefused("ticket.other_client", "This token was issued to another client.")\n',
        "A ticket that another client has tried is still good.",
    ),
    Mutant(
        "ticket.py",
        'if not self._store.put_new("spent", key,',
        'if self._store.get("spent", key) or self._store.put("spent", key,',
        "Whether a ticket is spent is looked up first and written down after.",
    ),
    Mutant(
        "session.py",
        "stored = self._live(session_id)\n        return _session(stored) if stored else None\n\n    def join",
        'stored = self._store.get("session", session_id)\n        return _session(stored) if stored else None\n\n    def join',
        "What was issued in a session is good after its end.",
    ),
    Mutant(
        "signon.py",
        'if stored is None or stored.record["browser"] != digest(browser):',
        'if stored is None or (stored.record["asked_at_login"] is not None and stored.record["browser"] != digest(browser)):',
        "A held request is answered without a look at who began it.",
    ),
    Mutant(
        "signon.py",
        'if self._store.take("pending", request_id) is None:\n            raise PendingGone(request_id)  # a second tab',
        'if not (self._store.get("pending", request_id) and (self._store.delete("pending", request_id) or True)):\n'
        "            raise PendingGone(request_id)  # a second tab",
        "A waiting request is looked at and then deleted, in place of being taken.",
    ),
    Mutant(
        "signon.py",
        "return session.auth_time < pending.asked - _SKEW",
        "return False",
        "A fresh request that came without the session's cookie is met by the old login.",
    ),
    Mutant(
        "signon.py",
        "if session is None or session.login_id == pending.asked_at_login:",
        "if session is None:",
        "The login that was there when a fresh request came is taken for a new one, for some seconds.",
    ),
    Mutant(
        "signon.py",
        "return pending.request.max_age is not None and self._now() - session.auth_time > max(pending.request.max_age, _JUST_NOW)",
        "return False",
        "The way back does not look how old the login is.",
    ),
    Mutant(
        "signon.py",
        "        if request.passive:\n            return self.refuse(request, LoginRequired())\n",
        "",
        "A passive request is shown the sign-in page.",
    ),
    Mutant(
        "signon.py",
        'self._logout.end_all_of(session.subject_id, reason="subject_gone")',
        'self._logout.end(session.id, reason="subject_gone")',
        "Of a disabled member's sessions only the one that asks is ended.",
    ),
    Mutant(
        "signon.py",
        'pending is None or self._store.take("pending", request_id) is None:\n            raise PendingGone(request_id)\n'
        "        return self.refuse(pending.request, refusal or",
        "pending is None:\n            raise PendingGone(request_id)\n        return self.refuse(pending.request, refusal or",
        "A cancelled request goes on waiting.",
    ),
    Mutant(
        "logout.py",
        'besides=beginning.client_id if beginning else "")',
        'besides="")',
        "The client that began a logout is told of it, too.",
    ),
    Mutant(
        "logout.py",
        "for session in self._sessions.of_subject(subject_id))",
        "for session in self._sessions.of_subject(subject_id)[:1])",
        "Where all of a member's sessions should end, one does.",
    ),
    Mutant(
        "logout.py",
        "retried = self.notices.put(session, each, run_id=run_id, cause=outcome.cause)",
        "retried = 0",
        "A client whose server did not answer is never told again.",
    ),
    Mutant(
        "logout.py",
        "self._sessions.untold(since=_LEFT_AFTER)",
        "[]",
        "What a killed worker left is left for ever.",
    ),
    Mutant(
        "session.py",
        'while stored := self._store.get("session", session_id):\n            if "ended" in stored.record:\n                return None\n',
        'while stored := self._store.get("session", session_id):\n',
        "A session is ended as often as somebody asks for it.",
    ),
    Mutant(
        "session.py",
        "                return True\n        return False\n\n    def leave(",
        "                return True\n        return True\n\n    def leave(",
        "An answer leaves though its session has ended meanwhile.",
    ),
    Mutant(
        "session.py",
        "session = replace(begun, id=session_id, participants=_session(stored).participants)",
        "session = replace(begun, id=session_id)",
        "A session that is renewed by a login forgets its clients.",
    ),
    Mutant(
        "session.py",
        "+ self._settings.idle) > self._now())",
        "+ self._settings.idle) >= self._now())",
        "A session lives a second too long.",
    ),
    Mutant(
        "session.py",
        'min(stored.record["ends"], stored.record["last_seen"] + self._settings.idle)',
        'stored.record["last_seen"] + self._settings.idle',
        "A session that is used has no end.",
    ),
    Mutant(
        "login.py",
        "if previous is not None and previous.subject_id != subject.id:",
        "if False:",
        "Another member's login leaves the session before it alive, and nobody is told.",
    ),
    Mutant(
        "expiry.py",
        "last = self._now() // DUE - 1",
        "last = self._now() // DUE",
        "The minute under way counts as looked at: who expires later in it is never told of.",
    ),
    Mutant(
        "expiry.py",
        'self._logout.end(session_id, reason="expired") is not None',
        "self._sessions.take(session_id) is not None",
        "An expired session ends, and nobody is told.",
    ),
    Mutant(
        "queue.py",
        "        self._store.delete(self._kind, stored.key)\n        return True",
        "        return True",
        "What was told is told again a minute later.",
    ),
    Mutant(
        "queue.py",
        "if not self._store.change(self._kind, stored.key, record, revision=stored.revision, expires=stored.expires):",
        "if self._store.change(self._kind, stored.key, record, revision=stored.revision, expires=stored.expires) is None:",
        "Two workers carry one notice.",
    ),
)


def copied(folder: Path) -> Path:
    """The project, where it may be spoilt."""
    for name in ("idp", "tests", "deploy"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def passes(project: Path, *arguments: str, steps: int) -> bool:
    environment = os.environ | {"MACHINE_STEPS": str(steps), "MACHINE_SEED": "1", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(project)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


def tried(mutant: Mutant, project: Path, *, steps: int) -> tuple[bool, bool]:
    """Whether the machine caught it, and whether the other tests did."""
    path = mutant.path(project)
    good = path.read_text()
    assert good.count(mutant.old) == 1, mutant
    path.write_text(good.replace(mutant.old, mutant.new))
    try:
        machine = not passes(project, MACHINE, steps=steps)
        others = not passes(project, "tests/sso", f"--ignore={MACHINE}", steps=steps)
    finally:
        path.write_text(good)
    return machine, others


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--only", type=int, nargs="*", default=range(1, len(MUTANTS) + 1))
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        project = copied(Path(folder))
        assert passes(project, "tests/sso", steps=options.steps), "the tests fail without a fault"
        for number in options.only:
            mutant = MUTANTS[number - 1]
            machine, others = tried(mutant, project, steps=options.steps)
            found.append((machine, others))
            words = ["caught" if caught else "survived" for caught in (machine, others)]
            print(f"{number:3} {mutant.file:12} machine {words[0]:9} tests/sso {words[1]:9} {mutant.sentence}", flush=True)
    caught = sum(map(any, found))
    print(f"{caught} of {len(found)} caught; by the machine alone {sum(machine for machine, _ in found)}")
    return int(caught < len(found))


if __name__ == "__main__":
    sys.exit(main())
