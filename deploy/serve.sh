#!/bin/sh
# Serves every folder below /models; what else is said is handed on.
set -eu

for model in /models/*/; do
    [ -f "$model/config.json" ] && set -- "$@" "$model"
done
# Takes the place of the shell, so that the signal to end reaches it
exec surrogate serve --host 0.0.0.0 --port 8000 "$@"
