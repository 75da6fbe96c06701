"""The right patient: what is kept apart until a person decides, and what is taken back after a correction."""
