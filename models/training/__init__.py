"""Training recipes: how each shipped model was made, one command each, deterministic given a seed.

Nothing here is imported when Candor serves; torch and the backbones come with the extra `train`.
"""
