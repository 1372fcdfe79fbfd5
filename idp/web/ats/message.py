"""The messages of ATS's web service, as public code of its vendors reads them (facts on iMIS, 8.2 and 8.3)."""

from __future__ import annotations

from collections.abc import Mapping

from idp.web import xml
from idp.web.profile import Profile
from idp.web.vendors.settings import AtsSettings

_EXCEPTION = ("HelpLink", "Message", "Source", "StackTrace", "Data")


def profile_content(settings: AtsSettings, profile: Profile) -> str:
    """What stands in a profile, the result first."""
    values = {name: ", ".join(each) for name, each in profile.attributes.items()}
    known = [settings.id_element, *settings.fields]
    named = {**{name: values.get(name, "") for name in known}, settings.id_element: profile.session.subject_id}
    written = "".join(xml.element(name, xml.text(value)) for name, value in named.items())
    return _result(settings, "0", "") + written + _pairs(settings, {name: values[name] for name in values if name not in named})


def not_found_content(settings: AtsSettings, subject_id: str) -> str:
    """The answer for a member whom the vendor may not have, whether or not there is one."""
    named = "".join(xml.element(name, "false" if name == "Member" else "") for name in (settings.id_element, *settings.fields))
    return _result(settings, "1", f"Contact with ContactId '{subject_id}' was not found.") + named + _pairs(settings, {})


def filter_content(subject_id: str, allowed: bool | None) -> str:
    """checkSSOFilter: whether a member may enter; None when nobody of that id is signed in at this vendor."""
    message = "" if allowed is not None else f"Contact with ContactId '{subject_id}' was not found."
    answer = xml.element("ResultCode", "0" if allowed is not None else "1") + xml.element("ResultMessage", xml.text(message))
    return answer + xml.element("isAllowed", "1" if allowed else "0")


def settings_content(given: Mapping[str, str]) -> str:
    """GetBridgeSettings."""
    return "".join(xml.element(name, xml.text(value)) for name, value in given.items())


def document(root: str, namespace: str, content: str) -> str:
    """The content as the answer to GET or POST."""
    return f"{xml.HEAD}{xml.element(root, content, {'xmlns': namespace})}\n"


def _result(settings: AtsSettings, code: str, message: str) -> str:
    space = {"xmlns": settings.result_namespace}
    inner = {"xmlns": settings.exception_namespace} if settings.exception_namespace != settings.result_namespace else {}
    exception = xml.element("Exception", "".join(xml.element(name, "", inner) for name in _EXCEPTION), space)
    return xml.element("ResultCode", code, space) + xml.element("ResultMessage", xml.text(message), space) + exception


def _pairs(settings: AtsSettings, values: Mapping[str, str]) -> str:
    if not settings.more:
        return ""
    pairs = (_pair(settings, name, value) for name, value in values.items())
    return xml.element(settings.more, "".join(xml.element(settings.more_item, pair) for pair in pairs))


def _pair(settings: AtsSettings, name: str, value: str) -> str:
    return xml.element(settings.more_name, xml.text(name)) + xml.element(settings.more_value, xml.text(value))
