"""Six sample vendors, one for each way to connect. Each is a site of its own: own host name, own cookie, own list of who is signed in.

`site` holds what all of them have in common, `service` the calls of a vendor's server to the sign-in service; every other file
is one vendor and shows what its protocol asks of a vendor. SAML, OpenID Connect and OAuth are done by libraries that are not ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Vendor:
    """A sample vendor. `id` is its client id, `protocol` the name that people know the protocol by, `colour` that of its pages."""

    id: str
    name: str
    host: str
    protocol: str
    about: str
    colour: str


LMS = Vendor(
    "lms",
    "Learning Center",
    "lms.localhost",
    "SAML 2.0",
    "Courses, and the credits they bring.",
    "#1d4f91",
)
COMMUNITY = Vendor(
    "community",
    "Community",
    "community.localhost",
    "OpenID Connect",
    "Discussions among members and committees.",
    "#6a2c91",
)
EVENTS = Vendor(
    "events",
    "Events",
    "events.localhost",
    "OAuth 2.0",
    "Conferences and registrations at member prices.",
    "#9a3412",
)
STORE = Vendor(
    "store",
    "Bookstore",
    "store.localhost",
    "Token",
    "Publications, with the member's discount.",
    "#166534",
)
CMS = Vendor(
    "cms",
    "Website",
    "cms.assoc.localhost",
    "Cookie",
    "The association's own pages; it shares a parent domain with the sign-in service.",
    "#0f4c5c",
)
JOURNAL = Vendor(
    "journal",
    "Journal",
    "journal.localhost",
    "JSONP",
    "Articles; its page greets a member who is signed in already.",
    "#7f1d3a",
)

VENDORS = (LMS, COMMUNITY, EVENTS, STORE, CMS, JOURNAL)
