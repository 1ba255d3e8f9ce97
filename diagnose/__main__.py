"""`python -m diagnose`, the same as the command `diagnose`."""

from diagnose.cli import main

main()
