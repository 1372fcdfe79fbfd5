"""imis-idp: an identity provider for associations that run iMIS. The map of the code is README.md beside this file."""

__version__ = "0.1.0"
