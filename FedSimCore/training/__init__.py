"""Training: one loop for everything that learns, and the recipes it runs (docs/runs.md).

``config``, ``recipes`` and the ``*_config`` modules import no torch: forms and the command line read them.
"""
