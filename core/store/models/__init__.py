"""Registered model versions, what they said, and what shadow versions said."""
