"""What token, cookie and JSONP vendors have in common: how they ask, where members return to, how a logout begins and is told.

`settings` holds the shared settings, `desk` reads requests and knows no HTTP, `views` is the shared part of the pages.
The protocols differ in how the ticket travels, and each has that in its own folder; vendors' servers redeem at `web/service.py`,
or where they speak ATS's way at `web/ats`.
"""
