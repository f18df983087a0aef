"""The methods by name that need no question about one image, each with its paper and how its pictures are to be read."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.errors import UsageError, nearest

ALL = "all"


@dataclass(frozen=True)
class FeatureMethod:
    """title   in a heading
    paper    first author and year
    reading  how to read the pictures
    images   whether it looks at images
    """

    title: str
    paper: str
    reading: str
    images: bool = True


FEATURES: dict[str, FeatureMethod] = {
    "filters": FeatureMethod(
        "First-layer filters", "Krizhevsky et al. 2012",
        "What the first layer looks for in the pixels. Grey is 0; each filter is scaled to its own largest weight. "
        "Edges, gratings and colour blobs are what trained filters look like; unstructured noise in most of them means "
        "too little training, or a rate that was too large.", images=False,
    ),
    "templates": FeatureMethod(
        "Templates", "Dalal & Triggs 2005; Csurka et al. 2004; Viola & Jones 2001",
        "What a model that is solved, or a linear one, has learned: what speaks for a class and against it, its visual words, "
        "its filters or its features on the mean image.", images=False,
    ),
    "activations": FeatureMethod(
        "Activation maps", "Zeiler & Fergus 2013, arXiv:1311.2901",
        "Where the units of a layer respond in one image: red is positive, blue negative, and all maps of a layer share "
        "one scale.",
    ),
    "patches": FeatureMethod(
        "Maximally activating patches", "Zeiler & Fergus 2013, arXiv:1311.2901; Girshick et al. 2014, arXiv:1311.2524",
        "The parts of the images that activate a unit most, cut to exactly what the unit sees. Right: what in each patch "
        "activates it, projected back through the network by a deconvnet. Units that single out a few images are shown.",
    ),
    "class_images": FeatureMethod(
        "Class images", "Simonyan et al. 2013, arXiv:1312.6034",
        "Left: the image that the class's score likes best, found by gradient ascent. Right: the real image with the "
        "largest score. What is missing on the left, the score does not need.",
    ),
    "dream": FeatureMethod(
        "DeepDream", "Mordvintsev et al. 2015",
        "An image is changed so that a layer responds more strongly: what it sees a little of, it then sees clearly.",
    ),
    "neighbours": FeatureMethod(
        "Nearest neighbours", "Krizhevsky et al. 2012",
        "Left: images that were not trained on. Right: the images nearest to each in the last hidden layer. A green edge "
        "means the same class, an orange one another.",
    ),
    "map": FeatureMethod(
        "Map of the images", "van der Maaten & Hinton 2008, JMLR 9",
        "Every image is a point by what the last hidden layer says of it, coloured by its class. PCA keeps large "
        "distances; t-SNE keeps neighbours together, and its gaps and sizes mean nothing.",
    ),
    "positions": FeatureMethod(
        "Position embeddings", "Dosovitskiy et al. 2020, arXiv:2010.11929",
        "Each small map belongs to one patch and shows how much the embeddings of all places resemble its own (cosine). "
        "Trained embeddings resemble those of their row, column and neighbourhood.", images=False,
    ),
    "attention": FeatureMethod(
        "Attention maps", "Dosovitskiy et al. 2020, arXiv:2010.11929; Abnar & Zuidema 2020, arXiv:2005.00928",
        "What the class token reads from each patch of one image (the mean over all tokens where there is no class "
        "token). Attention says what was read, not what for. Red is more than the mean over all patches, blue less.",
    ),
}  # fmt: skip
DEFAULT = tuple(name for name in FEATURES if name != "dream")


def features_named(names: str | None) -> tuple[str, ...]:
    """The methods of a list such as "filters,patches", all, or without a list those that are quick. UsageError for an unknown
    one."""
    if names is None:
        return DEFAULT
    if names == ALL:
        return tuple(FEATURES)
    wanted = tuple(dict.fromkeys(name.strip().replace("-", "_") for name in names.split(",") if name.strip()))
    for name in wanted:
        if name not in FEATURES:
            raise UsageError(f"unknown method {name!r}", nearest(name, (*FEATURES, ALL)))
    if not wanted:
        raise UsageError("no method is named", f"use one of {', '.join(FEATURES)}, or all")
    return wanted
