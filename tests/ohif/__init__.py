"""OHIF's published build as a viewer of our results: fetched once (fetch.py), served on loopback (serving.py)."""
