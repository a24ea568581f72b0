"""Tables of any accepted format, read row by row, every cell as text."""
