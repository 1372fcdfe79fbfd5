"""One login, one session, one logout: no protocol, no HTTP, no database product. The sequence is in `signon`, its end in `logout`."""
