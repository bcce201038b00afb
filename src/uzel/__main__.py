"""`python -m uzel` is `uzel`."""

from uzel.app.main import main

main()
