"""`candor demo` and `candor analyze`: the main job on this machine."""
