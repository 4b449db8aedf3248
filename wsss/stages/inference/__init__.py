"""What all passes of a network over a data set share."""
