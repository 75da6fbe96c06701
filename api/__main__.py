"""`python -m api` is `candor`: how the supervisor starts its children whatever is on the PATH."""

from api.command_line import main

main()
