"""Associations: who may open one, with which contexts, over TLS, and within which bounds."""
