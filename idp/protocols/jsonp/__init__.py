"""JSONP pages: a script element of a registered page asks whether the member is signed in, and gets a single-use token if so.

It works only where browsers still send cookies to other sites; everything else should come by /token/signon?passive=1.
Owns: /jsonp/ping, /jsonp/fetch, /jsonp/signon, /jsonp/logout, and who may ask. Does not own: what vendors have in common
(`web/vendors`), the script (`web/script.py`), the token itself (`sso/ticket.py`), the web service (`web/service.py`).
"""
