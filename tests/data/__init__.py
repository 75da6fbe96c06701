"""Data folders of earlier versions, each with a list of what it holds: what this version must still be able to open."""
