"""Everything Candor keeps: encrypted objects on disk, tables in an encrypted database."""
