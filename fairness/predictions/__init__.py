"""A table of predictions as people have it: read, checked, questioned, and a list of what the model missed."""
