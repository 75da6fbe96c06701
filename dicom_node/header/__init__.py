"""The elements of a data set: walked, checked, and read into our nouns."""
