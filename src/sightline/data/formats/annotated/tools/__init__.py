"""Readers of what annotation tools write beside images: YOLO, LabelMe, VIA, CVAT, VOC's XML anywhere, tables of boxes."""
