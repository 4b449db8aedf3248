"""The pictures of the documentation, drawn from the results of a finished default study."""
