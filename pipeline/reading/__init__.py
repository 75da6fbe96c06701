"""One reading: the children that run models, their memory, maps on demand, shadow versions."""
