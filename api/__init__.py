"""Every way in for people: the command line, the web process, and the composition root that wires the rooms up."""
