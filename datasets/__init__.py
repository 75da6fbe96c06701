"""What makes or loads data sets, and their data cards."""
