"""A simulated iMIS over real HTTP, as public material describes it (facts on iMIS): /token and /api of cloud
iMIS (EMS) and of 2017, the membership web service, and the pages of sign-in and SSO.

What that page marks SEEN is as it stands there; what it marks INFERRED or UNKNOWN is a setting of `SimulatorSettings` or a comment with its
section. `/_simulator/...` is plainly not iMIS: faults, changes and counters for tests and for trying things out.

`app` wires it; `association` is its data; `token`, `rest`, `security` are iMIS's REST interfaces, `contact` and `answer` their JSON;
`query` has the stored queries, `account` what is written, `soap` the membership web service, `site` the pages for a browser.
`fault` and `panel` are the test bench; `server` runs it.
"""

from __future__ import annotations

from idp.demo.imis.app import create_imis
from idp.demo.imis.server import serving
from idp.demo.imis.settings import SimulatorSettings

__all__ = ["SimulatorSettings", "create_imis", "serving"]
