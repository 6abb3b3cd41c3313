#!/usr/bin/env bash
# Prints the flags with which XLA compiles in a hurry, for the Python $1: newer XLA refuses to start
# with the second.
set -u
level="--xla_backend_optimization_level=0"
both="$level --xla_cpu_use_fusion_emitters=false"
if XLA_FLAGS="$both" "$1" -c 'import jax; jax.devices()' >/dev/null 2>&1; then
  echo "$both"
else
  echo "$level"
fi
