"""The structured report (TID 1500)."""
