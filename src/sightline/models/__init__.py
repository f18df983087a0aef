"""Networks: one family, one file. Importing this package registers them all in `MODELS`.

    >>> import sightline
    >>> network = sightline.models.create_model("resnet18", num_classes=10)
    >>> sightline.models.describe("resnet18")["parameters"]
    11689512

Every network keeps one contract, so that code built on networks works with any of them:

    forward(x)     (b, c, h, w) → (b, num_classes); with num_classes=0 the feature vector (b, channels[-1]). A network with
                   auxiliary heads (GoogLeNet, `aux`) returns a NamedTuple in training mode, its own scores first
    features(x)    maps from fine to coarse; the feature vector is the spatial mean of the last one
    channels       the number of channels of each of those maps
    input_size     (c, h, w) that it was published for, or the only one it accepts
    normalisation  only where it was published for pixels on a scale of its own: (mean, deviation) for pixels from 0 to 255.
                   All others see images standardised by the training data
    options        keyword-only, with the published values as defaults
    UsageError     for an image of a size or a number of channels that it cannot process

Networks under the heading "pixel scores" return (b, num_classes, h, w), class scores of every pixel, for images of any
size; with auxiliary heads a NamedTuple of those in training mode. `input_size` and options are as above.
"""

from sightline.models.boxes import faster_rcnn
from sightline.models.boxes.proposals import fast_rcnn, rcnn
from sightline.models.boxes.single_shot import yolo_v1, yolo_v3, yolo_v3_tiny, yolox
from sightline.models.boxes.transformer import detr
from sightline.models.early import (
    alexnet,
    convnet,
    extraction,
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
from sightline.models.efficient import efficientnet, efficientnet_lite, mobilenet, mobilenet_v2
from sightline.models.fast import airbench, fast_convnet
from sightline.models.generative import autoencoders, denoiser
from sightline.models.pixels import backbones, deeplab, farabet, fcn, segnet, tiramisu, unet
from sightline.models.residual import (
    darknet,
    densenet,
    densenet_cifar,
    preact_resnet,
    resnet,
    resnet_attention,
    resnet_cifar,
    resnext,
)
from sightline.models.solved import (
    bow_sift,
    colour_histogram,
    fisher_svm,
    gabor,
    hog_svm,
    ica_filters,
    kmeans_svm,
    leung_malik,
    pca_knn,
    pixels_svm,
    sparse_coding_svm,
    viola_jones,
)
from sightline.models.transformers import vit

from . import sliding
from .catalogue import MODELS
from .create import create_model, default_input, list_models, load_into, outline
from .describe import describe
from .folding import fold_batchnorm
from .options import Option, model_options
from .trace import trace
from .weights import LoadReport

__all__ = [  # noqa: RUF022 (classes, functions, then registries)
    "LoadReport",
    "Option",
    "airbench",
    "alexnet",
    "autoencoders",
    "backbones",
    "bow_sift",
    "colour_histogram",
    "convnet",
    "create_model",
    "darknet",
    "deeplab",
    "default_input",
    "denoiser",
    "densenet",
    "densenet_cifar",
    "describe",
    "detr",
    "efficientnet",
    "efficientnet_lite",
    "extraction",
    "farabet",
    "fast_convnet",
    "fast_rcnn",
    "faster_rcnn",
    "fcn",
    "fisher_svm",
    "fold_batchnorm",
    "gabor",
    "googlenet",
    "hog_svm",
    "ica_filters",
    "kmeans_svm",
    "lenet",
    "lenet5_original",
    "lenet_1989",
    "leung_malik",
    "linear",
    "list_models",
    "load_into",
    "maxout",
    "mlp",
    "mobilenet",
    "mobilenet_v2",
    "model_options",
    "nin",
    "outline",
    "pca_knn",
    "pixels_svm",
    "preact_resnet",
    "rcnn",
    "resnet",
    "resnet_attention",
    "resnet_cifar",
    "resnext",
    "segnet",
    "sliding",
    "sparse_coding_svm",
    "tiramisu",
    "trace",
    "unet",
    "vgg",
    "viola_jones",
    "vit",
    "yolo_v1",
    "yolo_v3",
    "yolo_v3_tiny",
    "yolox",
    "zfnet",
    "MODELS",
]
