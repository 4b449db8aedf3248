"""Class activation maps, one module per kind."""
