"""sgg: scene graph generation with vision-language models, by SFT and reinforcement learning."""

__version__ = "0.1.0"

from sgg.torchvision_operators import declare_when_described

declare_when_described()
