"""Training: TRL's trainers and what stands around them."""
