"""The web process: routes, permissions, metrics."""
