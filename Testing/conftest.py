"""What holds for all tests, set before anything imports NumPy."""

import os

# As `fedsim` itself does: OpenBLAS's threads wait busily beside torch's and make small products slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# As the worker does: threads that wait for each other sleep. Beside another program that computes, tests would take
# many times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
