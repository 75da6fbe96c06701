"""Which model takes which image and why not, how it runs, and what its scores mean."""
