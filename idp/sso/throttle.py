"""What tries are counted by: an account in whatever spelling, a network address with the network around it."""

from __future__ import annotations

import unicodedata
from ipaddress import IPv6Address, ip_address

from idp.secret import digest


def counter(kind: str, who: str) -> str:
    """The key of a counter: nobody's name or address stands in the store."""
    return f"{kind}|{digest(who)[:32]}"


def spelling(name: str) -> str:
    """Coarser than any directory compares: the database under iMIS ignores case, width and characters without weight, and maybe accents.
    Two people may share a counter; one account must not have several."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(character for character in folded if unicodedata.category(character)[0] not in "CM")


def network(address: str) -> str:
    """Whoever has one IPv6 address has the 2^64 around it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else address
