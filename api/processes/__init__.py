"""The long-running processes: supervisor, node, worker."""
