"""The running core as other programs of this machine find it: knock at its socket, ask it, follow its events.

Rule: nothing here opens a profile or knows the core's parts; it speaks the local interface (docs/api.md). Counterpart:
`uzel.faces.api`.
"""
