"""Grants and tokens of OAuth 2.0, beside pyop: who may have which token by which grant, how long it lives, and what ends it.

`endpoint` authenticates and dispatches by `grant_type`; each grant is one file: `code`, `refresh`, `service` (client_credentials),
`device`, `exchange`. `access_token` and `refresh_token` keep what was issued, `answer` writes the token answer, `standing` asks whether
the member may still enter, `withdrawal` ends what a member takes back, `inspection` is introspection and revocation, `resource` the
member's data behind `/oauth/me`.
"""
