"""A network that reads a line of text: convolutions keep the width as time, a recurrent network reads along it.

    Shi, Bai & Yao 2015, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition", arXiv:1507.05717

The paper's, in small: fewer and narrower layers, GRUs for LSTMs. Its scores (b, t, v) are trained by CTC, so nobody marks
where a letter is.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.initialise import initialise

STRIDE = 4  # pixels of the width for each step of time
LEAST = 8  # pixels of the height


class Reader(nn.Module):
    """Scores over time of `tokens` symbols, the first of them the blank.

    image_size   (height, width); the height is halved three times
    width        channels of the first convolution, doubled twice
    hidden       units of the recurrent network in each direction
    """

    def __init__(
        self,
        tokens: int,
        in_channels: int,
        image_size: tuple[int, int],
        *,
        width: int = 32,
        hidden: int = 96,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if image_size[0] < LEAST or image_size[1] < 2 * STRIDE:
            raise UsageError(
                f"a line of {image_size[0]}x{image_size[1]} pixels is too small", "use input.size=16 or more"
            )
        self.conv = nn.Sequential(
            _block(in_channels, width),
            nn.MaxPool2d(2),
            _block(width, 2 * width),
            nn.MaxPool2d(2),
            _block(2 * width, 4 * width),
            _block(4 * width, 4 * width),
            nn.MaxPool2d((2, 1)),
        )
        rows = image_size[0] // 8
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(4 * width * rows, hidden)
        self.recurrent = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, tokens)
        initialise(self.conv, "he")

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t v"]:
        """Images (b, c, h, w) → scores (b, w / 4, tokens)."""
        y = self.conv(x).permute(0, 3, 1, 2).flatten(2)  # (b, t, channels · rows)
        y, _ = self.recurrent(self.dropout(self.dense(y).relu()))
        return self.head(self.dropout(y))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
