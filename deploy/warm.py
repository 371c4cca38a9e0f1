"""Compiles the kernels of the systems that are named, so that no client waits for a compiler."""

import sys

import simulations

for name in sys.argv[1:]:
    simulations.make(name).warm_up()
