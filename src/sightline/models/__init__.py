"""Networks: one family, one file. Importing the room registers them all in `MODELS`.

Every network keeps one contract, so that whatever is built on networks works on any of them:

    forward(x)     (b, c, h, w) → (b, num_classes); with num_classes=0 the feature vector (b, channels[-1]). While one with
                   auxiliary heads trains (GoogLeNet, `aux`): a NamedTuple of scores, its own first
    features(x)    maps from fine to coarse; the feature vector is the last one's mean over space
    channels       how many channels each of those maps has
    input_size     (c, h, w) that it was published for, or can only be used with
    normalisation  only where it was published for pixels on a scale of its own: what to subtract from pixels of 0 to 255,
                   and to divide by. The others see images standardised by the training data
    options        keyword-only, with the published values as defaults
    UsageError     for an image that it cannot see

Those filed under "segmentation" answer with (b, num_classes, h, w), the scores of each pixel of an image of any size; while
they train, with a NamedTuple of these where they have auxiliary heads. They have `input_size` and options alike.
"""

from sightline.models.boxes import faster_rcnn
from sightline.models.early import (
    alexnet,
    convnet,
    googlenet,
    lenet,
    lenet5_original,
    lenet_1989,
    linear,
    maxout,
    mlp,
    nin,
    vgg,
    zfnet,
)
from sightline.models.efficient import efficientnet, mobilenet
from sightline.models.pixels import backbones, fcn, tiramisu, unet
from sightline.models.residual import (
    densenet,
    densenet_cifar,
    preact_resnet,
    resnet,
    resnet_attention,
    resnet_cifar,
    resnext,
)
from sightline.models.transformers import vit

from .catalogue import MODELS

__all__ = [
    "MODELS",
    "alexnet",
    "backbones",
    "convnet",
    "densenet",
    "densenet_cifar",
    "efficientnet",
    "faster_rcnn",
    "fcn",
    "googlenet",
    "lenet",
    "lenet5_original",
    "lenet_1989",
    "linear",
    "maxout",
    "mlp",
    "mobilenet",
    "nin",
    "preact_resnet",
    "resnet",
    "resnet_attention",
    "resnet_cifar",
    "resnext",
    "tiramisu",
    "unet",
    "vgg",
    "vit",
    "zfnet",
]
