"""Cores: images in, feature maps out."""
