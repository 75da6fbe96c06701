"""Models: packages on disk, the registry, what runs them, evaluation, and how the shipped ones were trained."""
