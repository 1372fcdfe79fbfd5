"""Token vendors: the member comes back with a single-use token, which the vendor's server redeems at /service/redeem.

Owns: /token/signon, /token/logout, and how the token travels. Does not own: what vendors have in common (`web/vendors`), the
token itself (`sso/ticket.py`), the web service (`web/service.py`).
"""
