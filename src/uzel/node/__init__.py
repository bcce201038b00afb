"""The server that anyone can run: it connects people and can read nothing.

The deciding parts are pure (`switchboard`, `registry`, `policy`, `limits`, `connections`); `service` is the shell
that runs them over sockets. A node imports neither a face nor the client.
"""
