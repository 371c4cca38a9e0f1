"""Run notebooks and keep their outputs: ``python notebooks/execute.py [01_quick_start.py]...``.

The scripts are what is edited. Each is paired with an ``.ipynb``, which this writes.
"""

import sys
from pathlib import Path

import jupytext
from nbclient import NotebookClient

HERE = Path(__file__).parent


def main(names: list[str]) -> None:
    for script in [HERE / name for name in names] or sorted(HERE.glob("[0-9]*.py")):
        notebook = jupytext.read(script)
        NotebookClient(notebook, timeout=1200, kernel_name="python3").execute(cwd=str(HERE))
        for cell in notebook.cells:
            # When a cell ran, and in what order cells were given names, is nobody's business
            cell.metadata.pop("execution", None)
            cell.id = f"cell-{notebook.cells.index(cell)}"
        jupytext.write(notebook, script.with_suffix(".ipynb"), fmt="ipynb")
        print(script.stem, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
