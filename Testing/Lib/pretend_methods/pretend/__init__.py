"""A method that trains nothing and imports no torch: its runs look like any other's."""
