"""What a running service knows of its own reads: figures, truth, drift."""
