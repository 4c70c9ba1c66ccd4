"""Builders of published architectures that no adapter knows: ``builder = "module:function"`` and a config."""
