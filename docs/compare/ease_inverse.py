"""LAPACK's inverse of a symmetric matrix (potrf and potri) beside the training of `ease`.

    pip install numpy scipy
    cargo build --release -p nowcast-models --example ease_speed
    python3 docs/compare/ease_inverse.py [items] [rounds]

LAPACK is the one that SciPy brings (OpenBLAS), in single precision as ours and on two threads. Of
ours the inverse by itself is printed, and all of a training that goes that way: Gram matrix, inverse
and the choice of the largest weights.
"""

import os
import resource
import statistics
import subprocess
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "2"

import numpy as np
from scipy.linalg.lapack import spotrf, spotri

items = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


random = np.random.default_rng(1)
root = random.standard_normal((items, items)).astype(np.float32)
system = root @ root.T / items + np.eye(items, dtype=np.float32)
lapack, ours, training = [], [], []
for _ in range(rounds):
    copy = np.asfortranarray(system)
    start, wall = cpu(), time.perf_counter()
    factor, bad = spotrf(copy, overwrite_a=1)
    inverse, worse = spotri(factor, overwrite_c=1)
    assert bad == 0 and worse == 0
    lapack.append((cpu() - start, time.perf_counter() - wall))
    out = subprocess.check_output(["target/release/examples/ease_speed", str(items)], text=True)
    times = tuple(map(float, out.split()))
    ours.append(times[:2])
    training.append(times[2:])
for name, times in (("lapack", lapack), ("ours", ours), ("training", training)):
    print(name, *(f"{statistics.median(column):.2f}" for column in zip(*times)), "CPU s, wall s")
