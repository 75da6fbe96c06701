"""Commands about studies: find them, read and deliver them again, remove them; and the log of this installation."""
