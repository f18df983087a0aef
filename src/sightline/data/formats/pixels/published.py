"""Classes of published masks that have no list beside them: Pascal VOC, Cityscapes, CamVid in SegNet's form."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

# Everingham et al. 2010. Value = place; 255 is the border around every object, which counts nowhere.
VOC = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

# Cordts et al. 2016, table of labels in cityscapesScripts: the value in labelIds of each of the 19 classes that count. All
# other values up to 33, and 255 (a licence plate), count nowhere. In labelTrainIds the value is the place.
CITYSCAPES = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19, "traffic sign": 20,
    "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27, "bus": 28, "train": 31,
    "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
CITYSCAPES_VALUES = 34

# Badrinarayanan et al. 2017 (SegNet), from the 32 of Brostow et al. 2009. 11 is unlabelled.
CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip


def voc_palette(size: int = 256) -> UInt8[np.ndarray, "size 3"]:
    """The colour of each value in VOC's palette: bits 0, 3 and 6 of the value are the highest bits of red, and so on.

    1 = 0b001 is (128, 0, 0), 4 = 0b100 is (0, 0, 128), 8 = 0b1000 is (64, 0, 0).
    """
    value = np.arange(size)
    palette = np.zeros((size, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((value >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return palette
