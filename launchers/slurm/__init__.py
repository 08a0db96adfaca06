"""What is asked of Slurm: batch scripts, arrays, the queue."""
