"""What one verb of the store costs: `python -m tests.bench.store`. With the calls that `tests/conformance/test_store_calls.py` counts,
it says how much of an answer's CPU is the driver's."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from idp.store.embedded import EmbeddedMongod
from idp.store.mongo import MongoStore
from tests.bench.measure import signature_ms

_RECORD = {"subject_id": "101", "text": "x" * 600}
_FAR = 4_102_444_800


def cpu_ms(act: Callable[[], object], *, times: int, rounds: int) -> float:
    """The median of CPU milliseconds in this process for one call."""
    found = []
    for _ in range(rounds):
        begun = time.process_time()
        for _ in range(times):
            act()
        found.append((time.process_time() - begun) / times * 1000)
    return statistics.median(found)


def verbs(store: MongoStore) -> dict[str, Callable[[], object]]:
    names, gone = itertools.count(), itertools.count()
    store.put("session", "one", _RECORD, expires=_FAR)
    return {
        "get": lambda: store.get("session", "one"),
        "put_new, by majority and journal": lambda: store.put_new("spent", str(next(names)), _RECORD, expires=_FAR),
        "put": lambda: store.put("session", "one", _RECORD, expires=_FAR),
        "take": lambda: store.take("spent", str(next(gone))),
        "bump": lambda: store.bump("throttle", "one", 1, expires=_FAR),
    }


def bench(*, times: int = 300, rounds: int = 5) -> None:
    bare = signature_ms(1000)
    print(f"one bare RSA-2048 signature: {bare:.3f} ms CPU")
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder, EmbeddedMongod(Path(folder)) as mongod:
        store = MongoStore(mongod.uri)
        for name, act in verbs(store).items():
            act()
            cost = cpu_ms(act, times=times, rounds=rounds)
            print(f"store: {name:34} {cost:6.3f} ms CPU = {cost / bare:4.1f} signatures", flush=True)
        store.close()


if __name__ == "__main__":
    bench()
