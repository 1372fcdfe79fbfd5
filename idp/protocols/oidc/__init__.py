"""OpenID Connect and OAuth 2.0 as an authorization server: the authorization code flow with PKCE.

Owns: the messages of both, codes and access tokens, discovery, and the URLs under /oauth/ and /.well-known/.
Does not own: who is signed in, what a client may see, and when a session ends; that is `idp/sso`.
The only folder that imports pyop or oic. README.md says what those two do, and what is done beside them.

GET /.well-known/openid-configuration, /.well-known/oauth-authorization-server, /oauth/jwks
GET, POST /oauth/authorize, /oauth/userinfo, /oauth/logout
POST /oauth/token, /oauth/revoke, /oauth/introspect
"""
