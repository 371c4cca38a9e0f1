"""``surrogate train`` in several processes:

    torchrun --nproc-per-node=2 -m surrogate.train DIR -o MODEL

Options are those of ``surrogate train``. Each process trains on its part of the data; the result is
that of one process, up to rounding.
"""

import sys

from surrogate import training
from surrogate.cli import run
from surrogate.distributed import joined


def main() -> None:
    with joined():
        code = run(["train", *sys.argv[1:]])
    sys.exit(code)


if __name__ == "__main__":
    main()
else:
    # Whoever imports this file, to document it say, must not lose the function of its name
    sys.modules[__name__] = training.train  # type: ignore[assignment]
