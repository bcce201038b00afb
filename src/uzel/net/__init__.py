"""Sockets, asyncio and splice: the only place below `node` and `client` that knows them.

`runner` drives any machine over any stream; `dial` and `listen` make streams; `relay` copies between two.
"""
