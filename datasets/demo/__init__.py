"""The demo studies: how they were made, and what the shipped model says of them."""
