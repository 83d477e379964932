"""Training of the recipe `pitting` on pictures of real ball screws, which are not part of this project."""
