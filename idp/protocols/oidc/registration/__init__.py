"""Dynamic registration: a client's own document (RFC 7591), read by the command line and, where the association allows it, over HTTP,
where the client may read, change and remove itself again (RFC 7592). `document` reads it, `desk` keeps it, `views` has the URLs.
"""
