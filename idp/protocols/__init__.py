"""Ways to ask and to answer, one folder each; none imports another. `sso/protocol.py` says what each provides."""
