"""Readers of chest radiograph data sets."""
