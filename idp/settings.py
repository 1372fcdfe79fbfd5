"""The base of every settings type. A field's docstring becomes its line in `deploy/idp.example.toml`.

Each part defines its own settings beside its code (`sso/session.py`, `protocols/saml/settings.py`, ...) and is handed only those.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationInfo

from idp.secret import Secret


class Settings(BaseModel):
    """Frozen, and a key that is not known is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
        validate_default=True,
        hide_input_in_errors=True,  # somebody may have written a secret in the clear
    )


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+)\s*([smhd]?)\s*", value)
        if not match:
            raise ValueError('a duration is a number of seconds, or a text such as "90s", "30m", "12h" or "7d"')
        return int(match[1]) * _UNITS[match[2] or "s"]
    return value


def _path(value: Any, info: ValidationInfo) -> Any:
    """A relative path counts from the folder of the configuration file, wherever the command was started."""
    base = (info.context or {}).get("folder")
    if isinstance(value, str | Path) and base is not None:
        return Path(base) / value
    return value


def _secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, Secret):
        return value
    if isinstance(value, dict) and set(value) == {"env"}:
        text = os.environ.get(str(value["env"]))
        if text is None:
            raise ValueError(f"the environment variable {value['env']} is not set")
        return _not_empty(text, f"the environment variable {value['env']}")
    if isinstance(value, dict) and set(value) == {"file"}:
        try:
            text = Path(_path(str(value["file"]), info)).read_text(encoding="utf-8").strip()
            return _not_empty(text, f"the secret's file {value['file']}")
        except OSError as error:
            raise ValueError(f"the secret's file {value['file']} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:  # its own text would show a byte of the secret
            raise ValueError(f"the secret's file {value['file']} is not UTF-8") from None
    raise ValueError('a secret is given as { env = "NAME" } or { file = "PATH" }, never in the clear')


def _not_empty(text: str, place: str) -> Secret:
    if not text:
        raise ValueError(f"{place} is empty")
    return Secret(text)


_CENTURY = 100 * 365 * 86400

Duration = Annotated[int, BeforeValidator(_seconds), Field(ge=0, le=_CENTURY)]
"""Seconds; in the file a number or a text such as "30m"."""

PathSetting = Annotated[Path, BeforeValidator(_path)]
"""A file or folder; relative to the configuration file."""

SecretSetting = Annotated[Secret, BeforeValidator(_secret), PlainSerializer(lambda _: "***", return_type=str)]
"""A secret by reference: { env = "NAME" } or { file = "PATH" }."""
