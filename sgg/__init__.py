"""sgg: scene graph generation with vision-language models, by SFT and reinforcement learning."""

__version__ = "0.1.0"

from sgg.openmp import wait_briefly
from sgg.torchvision_operators import declare_when_described

wait_briefly()
declare_when_described()
