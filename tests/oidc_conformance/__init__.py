"""The modules of the OpenID Foundation's conformance suite as tests of their names, over real HTTP against a server with several workers.

idp/protocols/oidc/CONFORMITY.md is the table of them.
"""
