"""Tasks about faces: one face moved as another, and put in its place."""
