"""The machine that a stage runs on: device, precision, threads, seeds, locks, logging and progress."""
