"""Vowpal Wabbit on the lists that `nowcast evaluate ... --models online --export FILE` left behind.

    python3 docs/compare/vw_lists.py FILE [flags of Vowpal Wabbit]

Reads lists of items, one a line, an empty line behind each list. All items of a list are scored
before any of them is learnt, in the order of the file; prints the mean reciprocal rank of the
chosen items as one JSON object. Needs PyPI's `vowpalwabbit`. The numbers of the features are their
places in the table, so both learners share collisions, and both begin with the same margin.
"""

import json
import resource
import sys

from vowpalwabbit import Workspace


def lists(path):
    rows = []
    with open(path) as file:
        for line in file:
            if line.strip():
                rows.append(line.rstrip("\n"))
            elif rows:
                yield rows
                rows = []


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    flags = " ".join(sys.argv[2:]) or "--loss_function logistic -b 18"
    learner = Workspace(f"--quiet --noconstant {flags}")
    start, total, count = cpu(), 0.0, 0
    for rows in lists(sys.argv[1]):
        examples = [learner.parse(row) for row in rows]
        margins = [learner.predict(example) for example in examples]
        chosen = next(at for at, row in enumerate(rows) if row.startswith("1 "))
        # The export lists items best first by our score; ties must not profit from that.
        better = sum(m > margins[chosen] for m in margins)
        ties = sum(m == margins[chosen] for m in margins) - 1
        total += 1.0 / (1.0 + better + ties / 2)
        count += 1
        for example in examples:
            learner.learn(example)
            learner.finish_example(example)
    print(json.dumps({"flags": flags, "lists": count, "mrr": total / count,
                      "cpu_seconds": cpu() - start}))


if __name__ == "__main__":
    main()
