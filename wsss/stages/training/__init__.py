"""What all trainings share: sampling, the loop, resuming, the run."""
