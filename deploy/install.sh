#!/bin/sh
# Installs the service into a virtual environment: what the image does, and what can be run without.
#
#   deploy/install.sh SOURCE VENV
#
# TORCH_INDEX names an index that has torch built for processors alone, a fifth of the size.
set -eu

source_folder=$1
venv=$2

python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
    ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    -c "$source_folder/constraints.txt" "$source_folder[serve]"
# Removed once it has done its work
"$venv/bin/python" -m pip uninstall --quiet --yes pip
