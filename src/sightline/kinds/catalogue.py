"""The list of all kinds of task."""

from __future__ import annotations

from sightline.errors import UsageError, nearest
from sightline.recipes.recipe import TASKS
from sightline.recipes.recipe import Recipe as Recipe  # public from here, where the sections of its kinds are known
from sightline.runs.run import Run

from .classification import CLASSIFICATION
from .detection import DETECTION
from .faces.swapping import FACE_SWAP
from .generative.attributes import ATTRIBUTES
from .generative.autoencoder import AUTOENCODER
from .generative.diffusion import DIFFUSION
from .generative.gan import GAN
from .generative.style import STYLE
from .generative.translation import TRANSLATION
from .instances import INSTANCES
from .kind import Kind
from .language.captioning import CAPTIONING
from .language.contrastive import CONTRASTIVE
from .language.language import LANGUAGE_MODEL
from .language.reading import READING
from .language.text_classification import TEXT_CLASSIFICATION
from .language.translation_text import TRANSLATION_TEXT
from .localisation import LOCALISATION
from .multilabel import MULTILABEL
from .regression import REGRESSION
from .segmentation import SEGMENTATION
from .several.multitask import MULTITASK
from .similarity.embedding import EMBEDDING

KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Add a kind of task, for every verb to use."""
    if kind.name in KINDS:
        raise ValueError(f"the kind {kind.name!r} is registered twice")
    KINDS[kind.name] = kind
    TASKS[kind.name] = kind.section
    return kind


# The default comes first: `task.` keys without a kind belong to it. If several kinds fit the data, the first is chosen.
for _kind in (
    CLASSIFICATION,
    SEGMENTATION,
    INSTANCES,
    DETECTION,
    MULTILABEL,
    REGRESSION,
    GAN,
    LOCALISATION,
    DIFFUSION,
    AUTOENCODER,
    MULTITASK,
    TRANSLATION,
    EMBEDDING,
    TRANSLATION_TEXT,
    READING,
    CAPTIONING,
    CONTRASTIVE,
    TEXT_CLASSIFICATION,
    LANGUAGE_MODEL,
    ATTRIBUTES,
    FACE_SWAP,
    STYLE,
):
    register(_kind)


def kind_named(name: str) -> Kind:
    """The kind of that name. UsageError if there is none."""
    if name not in KINDS:
        raise UsageError(f"unknown kind of task {name!r}", nearest(name, KINDS))
    return KINDS[name]


def kind_of(run: Run) -> Kind:
    """The kind of task that a run was trained for."""
    return kind_named(run.recipe.task.kind)
