"""MembershipWebService.asmx of the simulated iMIS: SOAP 1.1 with a WSDL, and the HTTP-POST binding (facts on iMIS, 7.2)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from flask import Blueprint, Response, request

from idp.demo.imis.association import Association
from idp.demo.imis.session import COOKIE, LoginSessions
from idp.demo.imis.settings import SimulatorSettings
from idp.directory.people_file import Person

PATH = "/asicommon/services/membership/membershipwebservice.asmx"  # in any case, by `app`
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_XML = "text/xml; charset=utf-8"
_WORDS = {"right": "Succeeded", "locked": "LockedOut"}  # 7.2: Succeeded is SEEN, the others are UNKNOWN

Answer = str | bool | list[str] | None


@dataclass(frozen=True)
class _Operation:
    """An operation: its arguments in order, the schema type of its result, and what it does."""

    name: str
    arguments: tuple[str, ...]
    result: str
    work: Callable[[Mapping[str, str]], Answer]


class MembershipWebService:
    """Who is who by user name and password, or by the login cookie."""

    def __init__(self, settings: SimulatorSettings, association: Association, logins: LoginSessions) -> None:
        self._settings = settings
        self._association = association
        self._logins = logins
        operations = (
            _Operation("ValidateUser", ("username", "password"), "boolean", self._validate_user),
            _Operation("LoginUser", ("username", "password", "staffUser"), "string", self._login_user),
            _Operation("GetRolesWithLogin", ("loginAsUser", "loginPassword"), "strings", self._roles_with_login),
            _Operation("GetRoles", (), "strings", lambda _: self._roles(self._caller())),
            _Operation("GetUserName", (), "string", lambda _: self._caller_name()),
            _Operation("Logout", (), "string", lambda _: ""),  # 3.5: no visible effect, SEEN
        )
        self._operations = {operation.name: operation for operation in operations}

    def pages(self) -> Blueprint:
        blueprint = Blueprint("soap", __name__)
        blueprint.add_url_rule(PATH, "describe", self.describe)
        blueprint.add_url_rule(PATH, "answer", self.answer, methods=["POST"])
        blueprint.add_url_rule(f"{PATH}/<name>", "post", self.post, methods=["POST"])
        return blueprint

    def describe(self) -> Response:
        if request.query_string.decode().lower() != "wsdl":
            return Response("<html><body>MembershipWebService</body></html>", content_type="text/html")
        return Response(_wsdl(self._settings.soap_namespace, list(self._operations.values()), request.base_url), content_type=_XML)

    def answer(self) -> Response:
        """SOAP 1.1: the operation is the first element of Body. What is none gets a fault with 500."""
        try:
            body = ElementTree.fromstring(request.get_data()).find(f"{{{_ENVELOPE}}}Body")  # noqa: S314  (a demo on loopback)
        except ElementTree.ParseError:
            body = None
        message = body[0] if body is not None and len(body) else None
        namespace, _, name = str(message.tag)[1:].partition("}") if message is not None else ("", "", "")
        operation = self._operations.get(name)
        if operation is None or message is None or namespace != self._settings.soap_namespace:
            return _fault()
        given = {str(each.tag).rpartition("}")[2]: each.text or "" for each in message}
        response = Response(self._written(operation, operation.work(given)), content_type=_XML)
        if name == "LoginUser":
            self._sign_in(response, given)
        return response

    def post(self, name: str) -> Response:
        """HTTP-POST: the result as the root element (INFERRED: `string`)."""
        operation = next((each for each in self._operations.values() if each.name.lower() == name), None)
        if operation is None:
            return Response(f"{name} Web Service method name is not valid.", 500, content_type="text/plain")
        found = operation.work(request.form)
        kind = operation.result if operation.result != "strings" else "ArrayOfString"
        text = f'<?xml version="1.0" encoding="utf-8"?><{kind} xmlns={quoteattr(self._settings.soap_namespace)}>{_content(found)}</{kind}>'
        return Response(text, content_type=_XML)

    def _written(self, operation: _Operation, found: Answer) -> str:
        name = operation.name
        result = "" if found is None else f"<{name}Result>{_content(found)}</{name}Result>"  # .NET leaves a null out
        message = f"<{name}Response xmlns={quoteattr(self._settings.soap_namespace)}>{result}</{name}Response>"
        head = '<?xml version="1.0" encoding="utf-8"?>'
        return f'{head}<soap:Envelope xmlns:soap="{_ENVELOPE}"><soap:Body>{message}</soap:Body></soap:Envelope>'

    def _validate_user(self, given: Mapping[str, str]) -> bool:
        return self._login_user(given) == "Succeeded"

    def _login_user(self, given: Mapping[str, str]) -> str:
        word = _WORDS.get(self._association.check_password(given.get("username", ""), given.get("password", "")), "Failed")
        return "Expired" if word == "Succeeded" and given.get("username") in self._settings.expired_usernames else word

    def _sign_in(self, response: Response, given: Mapping[str, str]) -> None:
        """LoginUser sets the login cookie (INFERRED)."""
        person = self._association.by_username(given.get("username", ""))
        if person is not None and b"Succeeded" in response.get_data():
            response.set_cookie(COOKIE, self._logins.begin(person.id), httponly=True)

    def _roles_with_login(self, given: Mapping[str, str]) -> list[str]:
        username = given.get("loginAsUser", "")
        person = self._association.by_username(username)
        right = person and person.password and self._association.check_password(username, given.get("loginPassword", "")) == "right"
        return self._roles(person if right else None)

    def _roles(self, person: Person | None) -> list[str]:
        """GUIDs are mixed in (SEEN)."""
        if person is None:
            return []
        names = list(person.attributes.get("roles", ()))
        return [str(uuid.uuid5(uuid.NAMESPACE_OID, f"role of {person.id}")), *names] if self._settings.guid_roles else names

    def _caller(self) -> Person | None:
        holder = self._logins.holder(request.cookies.get(COOKIE))
        return self._association.by_id(holder) if holder else None

    def _caller_name(self) -> str | None:
        person = self._caller()
        return person.username if person and person.active else None


def _content(found: Answer) -> str:
    if isinstance(found, list):
        return "".join(f"<string>{escape(each)}</string>" for each in found)
    return str(found).lower() if isinstance(found, bool) else escape(found or "")


def _fault() -> Response:
    fault = "<soap:Fault><faultcode>soap:Client</faultcode><faultstring>Server did not recognize the request.</faultstring></soap:Fault>"
    text = f'<?xml version="1.0"?><soap:Envelope xmlns:soap="{_ENVELOPE}"><soap:Body>{fault}</soap:Body></soap:Envelope>'
    return Response(text, 500, content_type=_XML)


def _wsdl(namespace: str, operations: list[_Operation], address: str) -> str:
    """As .NET writes it, without SOAP 1.2 and HTTP-POST, which no client of ours reads."""
    elements = "".join(_elements(each) for each in operations)
    messages = "".join(_messages(each.name) for each in operations)
    ports = "".join(
        f'<wsdl:operation name="{each.name}"><wsdl:input message="tns:{each.name}SoapIn"/><wsdl:output message="tns:{each.name}SoapOut"/>'
        "</wsdl:operation>"
        for each in operations
    )
    use = '<soap:body use="literal"/>'
    bindings = "".join(
        f'<wsdl:operation name="{each.name}"><soap:operation soapAction={quoteattr(namespace + each.name)} style="document"/>'
        f"<wsdl:input>{use}</wsdl:input><wsdl:output>{use}</wsdl:output></wsdl:operation>"
        for each in operations
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:s="http://www.w3.org/2001/XMLSchema" xmlns:tns={quoteattr(namespace)} targetNamespace={quoteattr(namespace)}>
<wsdl:types><s:schema elementFormDefault="qualified" targetNamespace={quoteattr(namespace)}>{elements}
<s:complexType name="ArrayOfString"><s:sequence>
<s:element minOccurs="0" maxOccurs="unbounded" name="string" nillable="true" type="s:string"/>
</s:sequence></s:complexType></s:schema></wsdl:types>
{messages}<wsdl:portType name="MembershipWebServiceSoap">{ports}</wsdl:portType>
<wsdl:binding name="MembershipWebServiceSoap" type="tns:MembershipWebServiceSoap">
<soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>{bindings}</wsdl:binding>
<wsdl:service name="MembershipWebService"><wsdl:port name="MembershipWebServiceSoap" binding="tns:MembershipWebServiceSoap">
<soap:address location={quoteattr(address)}/></wsdl:port></wsdl:service></wsdl:definitions>"""


def _elements(operation: _Operation) -> str:
    kinds = {"staffUser": "boolean"}
    given = "".join(f'<s:element minOccurs="0" name="{name}" type="s:{kinds.get(name, "string")}"/>' for name in operation.arguments)
    kind = "tns:ArrayOfString" if operation.result == "strings" else f"s:{operation.result}"
    result = f'<s:element minOccurs="0" name="{operation.name}Result" type="{kind}"/>'
    return "".join(
        f'<s:element name="{name}"><s:complexType><s:sequence>{content}</s:sequence></s:complexType></s:element>'
        for name, content in ((operation.name, given), (f"{operation.name}Response", result))
    )


def _messages(name: str) -> str:
    return "".join(
        f'<wsdl:message name="{name}{direction}"><wsdl:part name="parameters" element="tns:{element}"/></wsdl:message>'
        for direction, element in (("SoapIn", name), ("SoapOut", f"{name}Response"))
    )
