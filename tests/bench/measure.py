"""How the benchmarks measure: CPU of the worker and of the database, beside bare RSA-2048 signatures made in the same round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.server import Server

Operation = Callable[[], object]


def signature_ms(times: int = 300) -> float:
    """CPU milliseconds of one bare RSA-2048 signature here and now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begun = time.process_time()
    for _ in range(times):
        key.sign(b"x", padding.PKCS1v15(), hashes.SHA256())
    return (time.process_time() - begun) / times * 1000


def measure(server: Server, name: str, operation: Operation, *, times: int, rounds: int) -> float:
    """An operation that can be done again and again; the worker's CPU milliseconds for one."""
    operation()
    return measure_prepared(server, name, lambda: [operation] * times, rounds=rounds)


def measure_prepared(server: Server, name: str, prepare: Callable[[], Sequence[Operation]], *, rounds: int) -> float:
    """Operations that each need something of their own, of which making it ready is not counted; the worker's CPU milliseconds for one."""
    walls, workers, databases, ratios = [], [], [], []
    for _ in range(rounds):
        operations = prepare()
        bare = signature_ms()
        begun, worker, database = time.monotonic(), server.worker_cpu(), server.database_cpu()
        for operation in operations:
            operation()
        walls.append((time.monotonic() - begun) / len(operations) * 1000)
        workers.append((server.worker_cpu() - worker) / len(operations) * 1000)
        databases.append((server.database_cpu() - database) / len(operations) * 1000)
        ratios.append(workers[-1] / bare)
    cpu = max(statistics.median(workers), 0.001)
    print(
        f"{name:40} {1000 / statistics.median(walls):8.0f}/s one after another  {1000 / cpu:8.0f}/s a core"
        f"  worker {cpu:6.2f} ms CPU = {statistics.median(ratios):5.1f} signatures  database {statistics.median(databases):5.2f} ms CPU",
        flush=True,
    )
    return cpu
