"""What holds for all tests, set before anything imports NumPy."""

import os

# As `fedsim` itself does: OpenBLAS's threads wait busily beside torch's and make small products slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
