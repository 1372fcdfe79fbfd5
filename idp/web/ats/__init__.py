"""The web service as ATS's bridges have it, so that a vendor's existing integration needs another base URL and nothing else.

Off unless the client has a table `ats`. What was unsafe there is not here: a token is random, good once and for 30 seconds; nobody
gets a token or a profile for an id of which no session is open at this vendor; and the vendor's server has to show who it is.
deploy/migrating-from-ats.md has the differences.

`message` writes the XML, `operation` has what can be asked, `views` the pages; `web/profile_desk.py` decides, as for the other faces.
"""
