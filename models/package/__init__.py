"""Model packages on disk: what is in one, who signed it, and which ones ship."""
