"""What stands in a client's table about members: who may enter, and how the attributes it sees are made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from idp.settings import Settings

Kind = Literal["text", "number", "date", "boolean", "list"]
Rule = Literal["copy", "join", "map", "upper", "lower", "title", "after_today", "before_today", "has", "present"]
TRUTHS: tuple[Rule, ...] = ("after_today", "before_today", "has", "present")
"""The rules that say yes or no."""


class EntrySettings(Settings):
    """[clients.ID.entry]: which members may enter. Everything that is given must hold; of a list, one is enough."""

    active: bool = False
    """Only members whose status is one of `statuses`."""
    statuses: tuple[str, ...] = ("Active", "A")
    """What iMIS calls an active member."""
    member_types: tuple[str, ...] = ()
    """Only these iMIS customer types, such as "REG"."""
    paid_through_grace: int | None = Field(default=None, ge=0, le=36500)
    """Only who has paid, or paid until at most so many days ago; nobody without a date."""
    groups: tuple[str, ...] = ()
    """Only who is in one of these groups or committees."""
    roles: tuple[str, ...] = ()
    """Only who has one of these iMIS security roles."""
    staff: tuple[str, ...] = ()
    """Who has one of these security roles enters in any case."""


def _texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class AttributeSettings(Settings):
    """A value of `release`: how one attribute is made, such as
    member = { from = "paid_through", rule = "after_today", type = "boolean" }."""

    sources: Annotated[tuple[str, ...], BeforeValidator(_texts), Field(alias="from")] = ()
    """Our attributes that it is made from; without them, the one of the same name."""
    rule: Rule = "copy"
    """How: copy, join, map, upper, lower, title; or as yes and no: after_today, before_today, has, present."""
    type: Kind | None = None
    """text, number, date, boolean or list; without it, as the directory has it."""
    default: str | bool | int | float | None = None
    """What is sent when there is no value."""
    required: bool = False
    """A member without it is not sent to the application."""
    separator: str = " "
    """What stands between joined values."""
    values: dict[str, str] = Field(default_factory=dict)
    """What `map` puts in place of a value; "*" stands for any other."""
    any_of: tuple[str, ...] = ()
    """The values of which `has` wants one."""
    grace: int = Field(default=0, ge=0, le=36500)
    """Days for which after_today stays true."""

    @model_validator(mode="after")
    def _complete(self) -> AttributeSettings:
        if self.rule == "map" and not self.values:
            raise ValueError('the rule map wants values, such as values = { REG = "member", "*" = "guest" }')
        if self.rule == "has" and not self.any_of:
            raise ValueError('the rule has wants any_of, such as any_of = ["Board"]')
        if self.rule in TRUTHS and self.type not in (None, "boolean", "text"):
            raise ValueError(f"the rule {self.rule} says yes or no: its type is boolean")
        return self


def _form(value: Any) -> str:
    return "a table" if isinstance(value, dict) else "a list"


def _entry(value: Any) -> str:
    return "a rule" if isinstance(value, dict | AttributeSettings) else "a name"


FORMS = ("a table", "a list", "a rule", "a name")
"""What pydantic puts into the place of an error to say which form it took the value for."""

ReleaseTable = dict[str, Annotated[Annotated[str, Tag("a name")] | Annotated[AttributeSettings, Tag("a rule")], Discriminator(_entry)]]
ReleaseSetting = Annotated[
    Annotated[tuple[str, ...], Tag("a list")] | Annotated[ReleaseTable, Tag("a table")],
    Discriminator(_form),
]
"""Names, each `ours` or `ours=theirs`; or a table of `ours = "theirs"` and `theirs = { how it is made }`."""
