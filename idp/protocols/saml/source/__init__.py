"""Where service providers' metadata come from: files, a watched folder, addresses, federations; and what becomes of a changed copy.

Owns: fetching, the check of a federation's signature, copies in the store, changes and who accepts them, warnings ahead of time.
Does not own: what a copy says (`metadata`), and who may sign on.
"""
