"""Building blocks that two or more networks share: activations, initialisers, norms, convolutions, attention, boxes.

    >>> import sightline
    >>> sightline.layers.activation("relu")
    ReLU()

Submodules import one another by full path, never through this file, so it cannot become part of an import cycle.
"""

from .activations import ACTIVATIONS, Maxout, ScaledTanh, SoftmaxSteps, activation, hardmax, softmax_steps
from .arithmetic import (
    Field,
    Window,
    convolution_parameters,
    exact_output_size,
    fitting_output_size,
    kernel_between,
    linear_parameters,
    output_size,
    receptive_field,
    same_padding,
)
from .attention.encoder_block import EncoderBlock
from .attention.multi_head import (
    AdditiveAttention,
    Attended,
    MultiHeadAttention,
    attention_logits,
    causal_bias,
    scaled_dot_product,
)
from .attention.patches import as_map, as_tokens, embed_patches, patch_convolution, patch_grid, patches
from .attention.positions import (
    POSITIONS,
    GridPositions,
    Layout,
    LearnedPositions,
    RelativeBias,
    SinusoidPositions,
    position_embedding,
    position_similarity,
    relative_offsets,
    sinusoid,
    wavelengths,
)
from .attention.scores import CBAM, ChannelAttention, SpatialAttention, SqueezeExcite
from .boxes.anchors import anchors, decode, encode
from .boxes.matching import Sampled, match, sample, set_aside
from .boxes.regions import pyramid_level, pyramid_roi_align, roi_align, roi_pool
from .convolution.convolution import Gradients, convolve, correlate, correlate_backward, linear_as_convolution, zero_pad
from .convolution.inception import Inception, NaiveInception
from .convolution.mbconv import MBConv, whole_channels
from .convolution.partial import PartialConvolution
from .convolution.pooling import TrainableSubsample, average_pool, max_pool
from .convolution.pyramid import FeaturePyramid, LastLevelMaxPool
from .convolution.separable import Separable, depthwise, product_kernel
from .convolution.stochastic_depth import StochasticDepth
from .convolution.upsampling import (
    bilinear,
    bilinear_at,
    bilinear_kernel,
    bilinear_upsampler,
    nearest,
    spread,
    spread_size,
    unpool,
)
from .dropout import inverted_dropout
from .initialise import (
    INITIALISERS,
    Spread,
    activation_statistics,
    fans,
    he,
    he_out,
    initialise,
    initialiser,
    lecun,
    normal,
    sparse,
    uniform,
    xavier,
    zeros,
)
from .linear import bias_trick
from .normalisation import (
    BatchNormStep,
    FrozenBatchNorm,
    LocalResponseNorm,
    Standardised,
    batch_norm_step,
    fold_pair,
    freeze_batchnorm,
    standardise,
    window_channels,
)

__all__ = [  # noqa: RUF022 (classes, functions, then registries)
    "AdditiveAttention",
    "Attended",
    "BatchNormStep",
    "CBAM",
    "ChannelAttention",
    "EncoderBlock",
    "FeaturePyramid",
    "Field",
    "FrozenBatchNorm",
    "Gradients",
    "GridPositions",
    "Inception",
    "LastLevelMaxPool",
    "Layout",
    "LearnedPositions",
    "LocalResponseNorm",
    "MBConv",
    "Maxout",
    "MultiHeadAttention",
    "NaiveInception",
    "PartialConvolution",
    "RelativeBias",
    "Sampled",
    "ScaledTanh",
    "Separable",
    "SinusoidPositions",
    "SoftmaxSteps",
    "SpatialAttention",
    "Spread",
    "SqueezeExcite",
    "Standardised",
    "StochasticDepth",
    "TrainableSubsample",
    "Window",
    "activation",
    "activation_statistics",
    "anchors",
    "as_map",
    "as_tokens",
    "attention_logits",
    "average_pool",
    "batch_norm_step",
    "bias_trick",
    "bilinear",
    "bilinear_at",
    "bilinear_kernel",
    "bilinear_upsampler",
    "causal_bias",
    "convolution_parameters",
    "convolve",
    "correlate",
    "correlate_backward",
    "decode",
    "depthwise",
    "embed_patches",
    "encode",
    "exact_output_size",
    "fans",
    "fitting_output_size",
    "fold_pair",
    "freeze_batchnorm",
    "hardmax",
    "he",
    "he_out",
    "initialise",
    "initialiser",
    "inverted_dropout",
    "kernel_between",
    "lecun",
    "linear_as_convolution",
    "linear_parameters",
    "match",
    "max_pool",
    "nearest",
    "normal",
    "output_size",
    "patch_convolution",
    "patch_grid",
    "patches",
    "position_embedding",
    "position_similarity",
    "product_kernel",
    "pyramid_level",
    "pyramid_roi_align",
    "receptive_field",
    "relative_offsets",
    "roi_align",
    "roi_pool",
    "same_padding",
    "sample",
    "scaled_dot_product",
    "set_aside",
    "sinusoid",
    "softmax_steps",
    "sparse",
    "spread",
    "spread_size",
    "standardise",
    "uniform",
    "unpool",
    "wavelengths",
    "whole_channels",
    "window_channels",
    "xavier",
    "zero_pad",
    "zeros",
    "ACTIVATIONS",
    "INITIALISERS",
    "POSITIONS",
]
