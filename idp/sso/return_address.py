"""Return addresses: where a vendor may have its members sent back to, and nowhere else (S96).

A registered address that ends in "/" stands for every page below it, any other for itself alone. What is asked for must
come in the one plain form that all programs read alike; nothing is decoded, resolved or lower-cased before it is
compared, so what was compared is what the browser gets (V30-V33).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_plus, urlencode, urlsplit

from idp.errors import BadRequest

_LONGEST = 2000
_DEFAULT_PORTS = {"https": "443", "http": "80"}
# No escape of a control character, of "%" (double encoding), of "." or of a slash either way: they change what a path means.
_SEGMENT = r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%(?!(?:[01][0-9a-fA-F]|7[fF]|25|2[eE]|2[fF]|5[cC]))[0-9a-fA-F]{2})"
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    rf"(?P<path>/(?:{_SEGMENT}+/)*{_SEGMENT}*)"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9a-fA-F]{2})*)?"
)


def is_plain(url: str) -> bool:
    """Whether it is an http(s) URL in its plain form: lower-case host, no default port, user name, fragment, empty or dot segment, or
    character that programs read differently."""
    match = _ADDRESS.fullmatch(url) if len(url) <= _LONGEST else None
    if match is None or match["port"] == _DEFAULT_PORTS[match["scheme"]]:
        return False
    names = (segment.partition(";")[0] for segment in match["path"].split("/"))  # `..;/` is `../` to some servers (V30)
    return not any(name in (".", "..") for name in names)


def is_prefix(registered: str) -> bool:
    """Whether a registered address stands for every page below it."""
    return registered.endswith("/") and "?" not in registered


def is_registered(asked: str, registered: Sequence[str]) -> bool:
    """Whether the address asked for is one of the registered ones, or lies below one that ends in "/"."""
    return is_plain(asked) and any(asked == each or (is_prefix(each) and asked.startswith(each)) for each in registered)


def choose_return(asked: str, registered: Sequence[str], *, client_id: str) -> str:
    """The address to return to; when none is asked for, the only exact one. Raises BadRequest: our page, never a redirect (S2, V34)."""
    exact = [each for each in registered if not is_prefix(each)]
    if not asked and len(exact) == 1:
        return exact[0]
    if asked and is_registered(asked, registered):
        return asked
    cause, message = (
        ("return.not_registered", "The application asked for an address to return to that is not registered for it.")
        if asked
        else ("return.missing", "The application did not say where to return to.")
    )
    raise BadRequest(cause, message, expected=" or ".join(registered), received=asked, client_id=client_id)


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL as browsers write an origin; "" when it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port and str(port) != _DEFAULT_PORTS[parts.scheme] else "")


def replace_parameters(url: str, parameters: Mapping[str, str | None]) -> str:
    """The URL with these parameters at the end of its query, None meaning without; what stood there under such a name is dropped,
    in any case and as an array too, so that nobody can slip a second token in beside ours."""
    address, _, query = url.partition("?")
    names = {name.casefold() for name in parameters}
    kept = [pair for pair in query.split("&") if pair and _name(pair) not in names]
    added = urlencode({name: value for name, value in parameters.items() if value is not None})
    whole = "&".join([*kept, added] if added else kept)
    return f"{address}?{whole}" if whole else address


def _name(pair: str) -> str:
    """The parameter's name as a forgiving server reads it: PHP takes ` token[]` for `token`."""
    return unquote_plus(pair.partition("=")[0]).partition("[")[0].strip().casefold()
