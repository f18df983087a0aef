"""Layouts with annotations beyond one class per image: COCO, Pascal VOC, images beside masks."""
