"""Members help themselves in a real browser: from a vendor's page by the sign-in page and the mailbox, and in."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By

from idp.demo.vendors import COMMUNITY, LMS
from tests.flows.test_browser import Visitor, browser, chromium, town, visitor  # noqa: F401  fixtures

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

NEW = "seven wild geese went south in 1927"


class Forgetful:
    """What a visitor does on the account pages."""

    def __init__(self, visitor: Visitor) -> None:  # noqa: F811
        self.visitor = visitor
        self.browser = visitor.browser

    def follows(self, address: str) -> None:
        """Presses the link of the page that leads there."""
        self.visitor.presses(f"a[href^='{address}']")

    def fills(self, **fields: str) -> None:
        for name, value in fields.items():
            self.browser.find_element(By.NAME, name).clear()
            self.browser.find_element(By.NAME, name).send_keys(value)
        self.visitor.presses("button.primary")

    def opens_the_link_of(self, subject: str) -> None:
        """Looks into the mailbox until the mail is there."""
        mailbox = self.visitor.addresses.mailbox
        link = f"//h2[.='{subject}']/following-sibling::pre[1]//a"

        def has_come() -> bool:
            self.browser.get(mailbox)
            return bool(self.browser.find_elements(By.XPATH, link))

        self.visitor.waits_for(f"the mail “{subject}”", has_come)
        self.browser.find_element(By.XPATH, link).click()

    def reads(self, heading: str) -> None:
        self.visitor.waits_for(f"“{heading}”", lambda: heading in self.visitor.heading())


def test_U3_who_has_no_account_makes_one_by_mail_and_is_in_at_the_vendor(visitor: Visitor) -> None:  # noqa: F811
    member = Forgetful(visitor)
    visitor.asks_to_enter(COMMUNITY)
    member.follows("/account/create")
    member.fills(first_name="Nadia", last_name="New", email="nadia@mail.example")
    member.opens_the_link_of("Confirm your address")
    member.fills(username="nadia", new_password=NEW, again=NEW)
    member.reads("Your account is ready")
    visitor.asks_to_enter(COMMUNITY)
    visitor.types_password(NEW, username="nadia")
    visitor.is_in(COMMUNITY)
    assert visitor.is_told_by(COMMUNITY)["name"] == "Nadia New"


def test_U3_a_password_set_anew_by_mail_opens_the_vendor_and_the_old_one_does_not(visitor: Visitor) -> None:  # noqa: F811
    member = Forgetful(visitor)
    visitor.asks_to_enter(LMS)
    member.follows("/account/forgot-password")
    member.fills(email="carla@mail.example")
    member.opens_the_link_of("Set a new password")
    member.fills(new_password=NEW, again=NEW)
    member.reads("Your password is changed")
    visitor.asks_to_enter(LMS)
    visitor.types_password("demo", username="carla")
    visitor.waits_for("the reason", lambda: visitor.sees("[role=alert]"))
    visitor.types_password(NEW, username="carla")
    visitor.is_in(LMS)
