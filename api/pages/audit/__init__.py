"""The page of a fairness audit, and its three files."""
