"""The command line: data on stdout, talk on stderr, exit codes that mean something (docs/cli.md).

With `--json` a command prints one object a line with stable keys; other programs rely on them. Secrets are never
taken from arguments or the environment. Counterpart: whoever types, and whoever's program reads.
"""
