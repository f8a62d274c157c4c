"""Benchmarks of this machine, beside their bars."""

import os

# As `affect-edge` sets it; each benchmark loads NumPy after this. By two threads, work on small
# matrices takes up to three times the processor time, and other programs change the figure.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
