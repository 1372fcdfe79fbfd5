"""A whole association on one machine, for trying things out: a simulated iMIS, this server, and six sample vendors.

`town` starts and stops it, `configuration` writes its idp.toml and keys into the data folder, `server` is the process in which
the sign-in service runs, `portal` is the start page, `vendor/` are the sample sites, `imis/` is the simulated iMIS. Everything
listens on this machine alone. Every vendor has a host name under .localhost, so that browsers keep the vendors as far apart as
strangers' sites; browsers know those names by themselves, for our own processes `resolver` does it.
"""
