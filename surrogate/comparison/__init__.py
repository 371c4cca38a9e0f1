"""A surrogate against the solver it replaces, so that nobody can call it unfair.

The rivals are the solver's own cheaper versions, everything on one thread; errors are those against
a finer reference whose own error is known; the speed-up is that at equal error. What the surrogate
costs to make is set against what it saves, and trivial rivals tell whether it has learnt anything.

References:
    McGreivy and Hakim, Weak baselines and reporting biases lead to overoptimism in machine learning
    for fluid-related partial differential equations, Nature Machine Intelligence 6 (2024) 1256.
"""

from surrogate.comparison.fairness import Unfair
from surrogate.comparison.held_out import DataLeak
from surrogate.comparison.methods import Method
from surrogate.comparison.protocol import compare
from surrogate.comparison.result import Comparison, Contender, Example

__all__ = ["Comparison", "Contender", "DataLeak", "Example", "Method", "Unfair", "compare"]
