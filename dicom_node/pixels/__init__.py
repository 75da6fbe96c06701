"""From encoded frames to what a reader sees."""
