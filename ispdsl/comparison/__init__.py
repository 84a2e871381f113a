"""How far two pictures of the same frame are apart: figures, a table of them, and a picture of the differences."""
