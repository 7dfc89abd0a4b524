"""The process that computes for the Slicer module: ``python -m FedSimCore.worker``; see docs/worker.md.

``protocol`` is what both sides read; it imports no torch. The other side is ``FedSimSlicerLib.worker_client``.
"""

PROTOCOL = 3
"""Both sides must speak the same; raised with every change that an older side would misread."""
