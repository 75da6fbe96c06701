"""`python -m api` is `candor`: how the supervisor starts its children whatever is on the PATH."""

from api.cli.app import main

main()
