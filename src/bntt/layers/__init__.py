"""Layers: coding of images, temporal norms, neurons, pooling."""
