"""Return addresses: what is registered is reached, and nothing that only looks like it (S2, S96, V30-V34)."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from idp.errors import BadRequest
from idp.protocols.token.settings import TokenSettings
from idp.sso.return_address import choose_return, is_plain, is_registered, origin_of, replace_parameters

REGISTERED = ("https://lms.example.com/sso", "https://lms.example.com/courses/", "https://lms.example.com:8443/sso?site=2")

GOOD = [
    "https://lms.example.com/sso",
    "https://lms.example.com:8443/sso?site=2",
    "https://lms.example.com/courses/",
    "https://lms.example.com/courses/12",
    "https://lms.example.com/courses/12/part%20one;v=2?a=1&b[]=x%2Fy&url=https://other.example/",
    "https://lms.example.com/courses/?q=..",
    "https://lms.example.com/courses/..hidden",
    "https://lms.example.com/courses/caf%C3%A9",
]

BAD = {
    "another host": "https://evil.example/sso",
    "V30 host as a prefix": "https://lms.example.com.evil.example/sso",
    "V30 host as a suffix": "https://evil-lms.example.com/sso",
    "V30 sub-domain": "https://www.lms.example.com/sso",
    "V30 two dots": "https://lms.example.com/courses/../admin",
    "V30 two dots at the end": "https://lms.example.com/courses/..",
    "V30 one dot": "https://lms.example.com/courses/./12",
    "V30 dots and semicolon": "https://lms.example.com/courses/..;/admin",
    "V30 escaped dots": "https://lms.example.com/courses/%2e%2e/admin",
    "V30 half-escaped dots": "https://lms.example.com/courses/.%2E/admin",
    "V30 escaped slash": "https://lms.example.com/courses/..%2fadmin",
    "V30 escaped slash, upper case": "https://lms.example.com/courses/a%2Fb",
    "V30 double escape": "https://lms.example.com/courses/%252e%252e%252fadmin",
    "V31 user name": "https://lms.example.com@evil.example/sso",
    "V31 user name and password": "https://lms.example.com:80@evil.example/courses/",
    "V31 user name before the right host": "https://user@lms.example.com/sso",
    "V31 loopback": "http://127.0.0.1/sso",
    "V32 dot as any character": "https://lmsXexample.com/sso",
    "V33 slashes": "https:///lms.example.com/sso",
    "V33 one slash": "https:/lms.example.com/sso",
    "V33 no scheme": "//lms.example.com/sso",
    "V33 backslash": "https://lms.example.com\\@evil.example/courses/",
    "V33 backslash in the path": "https://lms.example.com/courses/..\\admin",
    "V33 escaped backslash": "https://lms.example.com/courses/..%5cadmin",
    "V33 tab": "https://lms.example.com/courses/\t12",
    "V33 tab in the host": "https://lms.exam\tple.com/sso",
    "V33 line feed at the end": "https://lms.example.com/sso\n",
    "V33 line feed inside": "https://lms.example.com/courses/1\r\nSet-Cookie: a=b",
    "V33 escaped line feed": "https://lms.example.com/courses/%0d%0aSet-Cookie:%20a=b",
    "V33 escaped NUL": "https://lms.example.com/courses/%00",
    "V33 space in front": " https://lms.example.com/sso",
    "V33 upper-case host": "https://LMS.example.com/sso",
    "V33 upper-case scheme": "HTTPS://lms.example.com/sso",
    "V33 upper-case path": "https://lms.example.com/SSO",
    "V33 empty segment": "https://lms.example.com/courses//evil.example/",
    "fragment": "https://lms.example.com/sso#top",
    "empty fragment": "https://lms.example.com/courses/12#",
    "plain http": "http://lms.example.com/sso",
    "another port": "https://lms.example.com:444/sso",
    "default port": "https://lms.example.com:443/sso",
    "empty port": "https://lms.example.com:/sso",
    "port with a zero in front": "https://lms.example.com:08443/sso?site=2",
    "dot after the host": "https://lms.example.com./sso",
    "wide full stop": "https://lms\u3002example.com/sso",
    "letter that looks the same": "https://lms.ex\u0430mple.com/sso",
    "exact one with more path": "https://lms.example.com/sso/deeper",
    "exact one with a query": "https://lms.example.com/sso?x=1",
    "exact one with another query": "https://lms.example.com:8443/sso?site=2&site=3",
    "prefix without its slash": "https://lms.example.com/courses",
    "neighbour of the prefix": "https://lms.example.com/courses-evil/",
    "broken escape": "https://lms.example.com/courses/%zz",
    "script": "javascript:alert(1)//https://lms.example.com/sso",
    "data": "data:text/html,https://lms.example.com/sso",
    "markup": 'https://lms.example.com/courses/"><script>',
    "too long": "https://lms.example.com/courses/" + "a" * 2000,
    "nothing but the host": "https://lms.example.com",
}


@pytest.mark.parametrize("asked", GOOD)
def test_S96_a_registered_address_or_one_below_a_registered_prefix_is_reached_as_it_was_written(asked: str) -> None:
    assert choose_return(asked, REGISTERED, client_id="lms") == asked


@pytest.mark.parametrize("asked", BAD.values(), ids=BAD)
def test_S96_what_only_looks_registered_is_refused(asked: str) -> None:
    with pytest.raises(BadRequest) as caught:
        choose_return(asked, REGISTERED, client_id="lms")
    assert caught.value.cause == "return.not_registered"
    assert caught.value.expected == " or ".join(REGISTERED)


def test_S96_without_return_the_only_exact_address_is_taken() -> None:
    assert choose_return("", ["https://a.example/x", "https://a.example/y/"], client_id="a") == "https://a.example/x"


@pytest.mark.parametrize("registered", [["https://a.example/x", "https://a.example/y"], ["https://a.example/x/"], []])
def test_S96_without_return_nothing_is_guessed(registered: list[str]) -> None:
    with pytest.raises(BadRequest) as caught:
        choose_return("", registered, client_id="a")
    assert caught.value.cause == "return.missing"


def test_S96_a_query_that_ends_in_a_slash_does_not_make_a_prefix() -> None:
    assert not is_registered("https://a.example/x?next=/admin", ["https://a.example/x?next=/"])


PIECES = ["/", "..", ".", "a", ";", "?", "#", "@", "\\", "\t", "%2e", "%2E", "%2f", "%5c", "%25", "2e", "%20", ":", "evil.example"]


@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join))
def test_S96_whatever_is_put_behind_a_prefix_stays_below_it(tail: str) -> None:
    """By another parser than ours: the standard library resolves dots as browsers do, here after undoing every escape there is."""
    url = f"https://lms.example.com/courses/{tail}"
    if is_registered(url, REGISTERED):
        assert urlsplit(url).netloc == "lms.example.com"
        path = unquote(unquote(urlsplit(url).path)).replace("\\", "/")
        assert urlsplit(urljoin("https://lms.example.com", path)).path.startswith("/courses/")


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "https://a.example:443/x",
        "https://*.a.example/x",
        "https://a.example/*",
        "http://a.example/x",
        "ftp://a.example/x",
        "x",
    ],
)
def test_S3_an_address_that_could_mean_more_than_it_says_is_not_registered(url: str) -> None:
    with pytest.raises(ValidationError):
        TokenSettings(return_urls=(url,))


@pytest.mark.parametrize(
    "url", ["http://localhost:9000/sso", "http://lms.localhost:9000/sso", "http://127.0.0.1:9000/", "http://[::1]:9000/"]
)
def test_S3_loopback_may_do_without_https(url: str) -> None:
    assert TokenSettings(return_urls=(url,)).return_urls == (url,)


def test_S3_one_text_is_not_a_list_of_addresses() -> None:
    with pytest.raises(ValidationError):
        TokenSettings.model_validate({"return_urls": "https://a.example/x"})


@pytest.mark.parametrize(
    ("url", "parameters", "expected"),
    [
        ("https://a.example/x", {"token": "t"}, "https://a.example/x?token=t"),
        ("https://a.example/x?id=3&b=%2F", {"token": "t"}, "https://a.example/x?id=3&b=%2F&token=t"),
        ("https://a.example/x?token=evil&id=3", {"token": "t"}, "https://a.example/x?id=3&token=t"),
        ("https://a.example/x?TOKEN=e&tok%65n=e&+token=e&token[]=e&token%5B%5D=e", {"token": "t"}, "https://a.example/x?token=t"),
        ("https://a.example/x?token=evil", {"token": None}, "https://a.example/x"),
        ("https://a.example/x?", {}, "https://a.example/x"),
        ("https://a.example/x", {"a": "&b=c#d"}, "https://a.example/x?a=%26b%3Dc%23d"),
    ],
)
def test_a_parameter_of_ours_replaces_what_stood_there_and_keeps_the_rest(
    url: str, parameters: dict[str, str | None], expected: str
) -> None:
    assert replace_parameters(url, parameters) == expected
    assert is_plain(expected)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example/x?y", "https://a.example"),
        ("https://A.example:443/", "https://a.example"),
        ("http://a.localhost:9000/x", "http://a.localhost:9000"),
        ("https://[::1]:9000/", "https://[::1]:9000"),
        ("https://user@a.example/", "https://a.example"),
        ("", ""),
        ("null", ""),
        ("about:blank", ""),
        ("https://", ""),
        ("https://a.example:x/", ""),
        ("https://[::1/", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin
