"""FedCM: the browser itself asks, on behalf of a page, whether a member is signed in, and hands the answer over. No cookie of ours goes
to the page's site, so it works where third-party cookies are blocked, and we do not learn which page asks before the member agrees.

It is a way to the answer and no answer of its own: what the page gets is the client's own token or code, made by its own protocol in the
one sequence (`SignOnRequest.hand_over`). The browser believes any page that names a client: the check of the Origin is the only
barrier (S108).

The accounts have no `approved_clients` (S113): where third-party cookies are allowed, Chromium 156 takes that list for a leave to ask
without a click, and by the kind of its error a stranger's page that names such a client learned that somebody is signed in. Without
it the browser goes by what the member chose in this very browser, for this very site.

Owns: /.well-known/web-identity and everything under /fedcm/. Does not own: the cookie and Set-Login (`web/browser.py`), the answer
(`sso/`, the other protocols), the script that uses it (`web/check.py`).
"""
