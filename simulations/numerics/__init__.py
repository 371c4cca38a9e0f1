"""Numba kernels that know no physics and do no I/O, one numerical method a file."""
