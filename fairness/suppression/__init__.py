"""Which counts of an audit are withheld, so that no patient can be found in it."""
