"""SAML 2.0: Web Browser SSO and Single Logout, as an identity provider.

Owns: XML, its signatures and encryption, metadata in both directions, and the URLs under /saml/.
Does not own: who is signed in, what a service provider may see, and when a session ends; that is `idp/sso`.
The only folder that imports lxml or pysaml2. README.md says which of the two does what, and why.
"""
