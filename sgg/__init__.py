"""sgg: scene graph generation with vision-language models, by SFT and reinforcement learning."""

__version__ = "0.1.0"

from sgg.compat.openmp import wait_briefly
from sgg.compat.torchvision import declare_when_described

wait_briefly()
declare_when_described()
