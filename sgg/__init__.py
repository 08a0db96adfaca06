"""sgg: scene graph generation with vision-language models, by SFT and reinforcement learning."""

__version__ = "0.1.0"
