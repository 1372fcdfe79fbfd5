"""/account/: change the password, forgot password, forgot user name, create an account. Plain forms that need no script.

The pages own nothing: what they do is in `sso/account.py`.
"""
