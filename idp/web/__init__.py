"""Pages and HTTP: the browser's cookies, forms, headers; login, logout, account pages, home, health;
mail; the vendors' web service; calls to vendors.

`gateway.Gateway` is what protocol views use: they read a message, call it, and send what it gives.
"""
