"""Which models may run here: register a package, and the checks it must pass."""
