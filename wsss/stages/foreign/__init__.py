"""Files of other systems, read without running anything in them."""
