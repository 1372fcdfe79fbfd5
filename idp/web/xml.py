"""XML as we write it for vendors' servers: texts escaped, and nothing in them that no document may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
# XML 1.0 §2.2: what is outside Char cannot stand in a document at all, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(value: str) -> str:
    """The value as an element's content."""
    return escape(_NOT_XML.sub("", value), {"\r": "&#13;"})  # a bare carriage return would be read as a line feed (§2.11)


def quoted(value: str) -> str:
    """The value as an attribute's, with its quotes."""
    return quoteattr(_NOT_XML.sub("", value))


def element(name: str, content: str = "", attributes: Mapping[str, str] | None = None) -> str:
    """An element around what is XML already. The name is ours, or was checked when it was configured."""
    given = "".join(f" {key}={quoted(value)}" for key, value in (attributes or {}).items())
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"
