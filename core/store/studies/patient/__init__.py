"""The right patient: whose study it is after a correction, and what is kept apart until a person decides."""
