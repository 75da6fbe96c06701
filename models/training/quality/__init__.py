"""The recipe of the quality check that comes with a package."""
