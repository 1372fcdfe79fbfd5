"""Cookie vendors: they share a parent domain with us and read a cookie there, which holds a single-use token of 30 seconds (S78).

Owns: /cookie/signon, /cookie/logout, the cookie and the domain on which it may stand; the only folder that imports publicsuffixlist.
Does not own: what vendors have in common (`web/vendors`), the token itself (`sso/ticket.py`), the web service (`web/service.py`).
"""
