"""Layouts that say more of an image than its class: COCO, Pascal VOC, images beside masks."""
