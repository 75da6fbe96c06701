"""The JSON and TOML files that are written and read: one pydantic model for each, and one way to read and write."""
