"""Oracles in another language: small programs that judge what we send. Each lies in a folder of its own runtime."""
