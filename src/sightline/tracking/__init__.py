"""Copies of a training's figures for other programs: TensorBoard and MLflow, one adapter file each."""
