"""PyPI's `implicit` beside the model `ials`: CPU seconds a sweep and the objective after each.

    cargo build --release -p nowcast-models --example ials_speed
    python3 docs/compare/implicit_als.py make PAIRS
    python3 docs/compare/implicit_als.py run PAIRS [sweeps] [threads]

`make` draws 10 million different pairs of 500,000 users and 100,000 items from a fixed seed: how
much a user does and how popular an item is follow power laws, and half of what users do is among
the items of one of 100 groups. `run` alternates sweeps of implicit's conjugate gradients (its
default), its exact solver, and ours, so that all see the same hours of the machine.

All pairs weigh the same, so both minimise one function: with implicit's confidence c and ridge r,
ours has the unobserved weight 1 / (c - 1) and the ridge r / c, and its factors times the root of
c / (c - 1) are implicit's. implicit's own loss, in double precision, judges all factors.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # implicit demands it

import numpy as np
import scipy.sparse as sparse

PAIRS, USERS, ITEMS, GROUPS = 10_000_000, 500_000, 100_000, 100
FACTORS, CONFIDENCE, RIDGE = 64, 10.0, 1.0


def skewed(random, count, offset, exponent):
    weights = (np.arange(count) + offset) ** -exponent
    random.shuffle(weights)
    return weights / weights.sum()


def draw(random, cumulated, count):
    places = np.searchsorted(cumulated, random.random(count) * cumulated[-1], side="right")
    return np.minimum(places, len(cumulated) - 1)


def make(path):
    random = np.random.default_rng(1)
    users = np.cumsum(skewed(random, USERS, 2000, 0.9))
    popularity = skewed(random, ITEMS, 50, 0.8)
    everything = np.cumsum(popularity)
    taste = random.integers(0, GROUPS, USERS)
    groups = [np.arange(group, ITEMS, GROUPS) for group in range(GROUPS)]
    pairs = np.empty(0, np.int64)
    while len(pairs) < PAIRS:
        user = draw(random, users, 4_000_000)
        item = draw(random, everything, len(user))
        inside = random.random(len(user)) < 0.5
        for group, members in enumerate(groups):
            chosen = np.flatnonzero(inside & (taste[user] == group))
            item[chosen] = members[draw(random, np.cumsum(popularity[members]), len(chosen))]
        pairs = np.unique(np.concatenate([pairs, user.astype(np.int64) * ITEMS + item]))
    pairs = np.sort(random.choice(pairs, PAIRS, replace=False))
    np.stack([pairs // ITEMS, pairs % ITEMS], axis=1).astype("<u4").tofile(path)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Theirs:
    def __init__(self, matrix, exact, threads):
        from implicit.cpu.als import AlternatingLeastSquares

        marks = []

        class Timed(AlternatingLeastSquares):
            @property
            def solver(self):
                solve = super().solver

                def timed(*args, **named):
                    marks.append((cpu(), time.time()))
                    solve(*args, **named)
                    marks.append((cpu(), time.time()))

                return timed

        self.matrix, self.marks = matrix, marks
        self.model = Timed(
            factors=FACTORS, regularization=RIDGE, alpha=1.0, iterations=1,
            use_cg=not exact, num_threads=threads, random_state=1)

    def step(self):
        """The two solves alone, without the transpose that each `fit` begins with."""
        self.marks.clear()
        self.model.fit(self.matrix, show_progress=False)
        return tuple(self.marks[-1][i] - self.marks[0][i] for i in (0, 1))

    def factors(self):
        return self.model.user_factors, self.model.item_factors


class Ours:
    def __init__(self, path, threads):
        program = "target/release/examples/ials_speed"
        args = [program, path, repr(1 / (CONFIDENCE - 1)), repr(RIDGE / CONFIDENCE), str(FACTORS)]
        self.process = subprocess.Popen(
            args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "RAYON_NUM_THREADS": str(threads)})
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def step(self):
        return tuple(map(float, self.ask("step").split()))

    def factors(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("users", "items")]
            self.ask("write " + " ".join(paths))
            scale = np.float32((CONFIDENCE / (CONFIDENCE - 1)) ** 0.5)
            return [np.fromfile(path, "<f4").reshape(-1, FACTORS) * scale for path in paths]


def loss(matrix, factors):
    from implicit.cpu import _als

    users, items = (side.astype(np.float64) for side in factors)
    return _als.calculate_loss(matrix, users, items, RIDGE, num_threads=2)


def run(path, sweeps=5, threads=2):
    pairs = np.fromfile(path, "<u4").reshape(-1, 2)
    weights = np.full(len(pairs), CONFIDENCE, np.float32)
    matrix = sparse.csr_matrix((weights, (pairs[:, 0], pairs[:, 1])))
    all = {"implicit, 3 steps of cg": Theirs(matrix, False, threads),
           "implicit, exact": Theirs(matrix, True, threads),
           "ours": Ours(path, threads)}
    times = {name: [] for name in all}
    for sweep in range(1, sweeps + 1):
        for name, one in all.items():
            times[name].append(one.step())
            cpu_seconds, wall = times[name][-1]
            # Ours tells the users' factors from the second sweep on.
            judged = loss(matrix, one.factors()) if sweep > 1 else None
            print(json.dumps({"sweep": sweep, "of": name, "cpu_s": round(cpu_seconds, 2),
                              "wall_s": round(wall, 2), "objective": judged}), flush=True)
    ours = statistics.median(cpu for cpu, _ in times["ours"])
    for name, rows in times.items():
        median = statistics.median(cpu for cpu, _ in rows)
        print(json.dumps({"of": name, "median_cpu_s": round(median, 2),
                          "ours_over_it": round(ours / median, 3)}))


if __name__ == "__main__":
    {"make": make, "run": run}[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:]))
