"""The tables of the database, a file for each part of the house that fills them."""
