"""Measurements behind the claims: run as modules, ``python -m benchmarks.solvers``.

Everything is measured on one thread. The numerical libraries read these variables when they are
imported, so they are set before anything else.
"""

import os

os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    NUMBA_NUM_THREADS="1",
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    JAX_PLATFORMS="cpu",
)
