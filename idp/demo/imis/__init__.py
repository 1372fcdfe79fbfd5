"""A simulated iMIS over real HTTP, as public material describes it (facts on iMIS): /token and /api of cloud iMIS (EMS).

What that page marks SEEN is as it stands there; what it marks INFERRED or UNKNOWN is a setting of `SimulatorSettings` or a comment with its
section. `/_simulator/...` is plainly not iMIS: faults, changes and counters for tests and for trying things out.

`app` wires it; `association` is its data; `token`, `rest`, `security` are iMIS's interfaces, `contact` and `answer` their JSON;
`fault` and `panel` are the test bench; `server` runs it. SOAP, sign-in pages and IQA are not here yet: they will be further blueprints
of `app`.
"""

from __future__ import annotations

from idp.demo.imis.app import create_imis
from idp.demo.imis.server import serving
from idp.demo.imis.settings import SimulatorSettings

__all__ = ["SimulatorSettings", "create_imis", "serving"]
