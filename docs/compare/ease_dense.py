"""EASE^R by its definition, as an oracle for `ease`: the whole inverse, densely, and the ranking.

    pip install numpy scipy
    python3 docs/compare/ease_dense.py TRAIN TEST RIDGE [NEIGHBOURS [SUPPORT]]

The files are in LightGCN's format (`user item item ...`), plain or with `.zst` (needs `zstdcat`).
Prints Recall@20 and NDCG@20 over all items that the user has not had, for the dense map and, if
asked, for a map that keeps the NEIGHBOURS largest weights of each item: by magnitude, then by
value, then by magnitude without negative ones between items that fewer than SUPPORT users would
have both by chance. Gowalla's 41,000 items take 14 GiB and some fifteen minutes on two cores.

The inverse is by blocks in place (Cholesky factor, its inverse, the product of that with its
transpose), because `spotrf` of some OpenBLAS builds crashes on matrices of this size.
"""

import subprocess
import sys

import numpy as np
import scipy.sparse as sparse

BLOCK = 2048
TOP = 20


def read(path):
    if path.endswith(".zst"):
        text = subprocess.check_output(["zstdcat", path])
    else:
        text = open(path, "rb").read()
    lines = (list(map(int, line.split())) for line in text.splitlines())
    return {line[0]: line[1:] for line in lines if line}


def invert(square):
    """Replaces the lower triangle of a symmetric matrix by that of its inverse."""
    side = len(square)
    starts = list(range(0, side, BLOCK))
    blocks = [slice(start, min(side, start + BLOCK)) for start in starts]
    for block in blocks:
        corner = np.linalg.cholesky(square[block, block].astype(np.float64))
        square[block, block] = corner
        square[block.stop :, block] @= np.linalg.inv(corner).T.astype(np.float32)
        for other in blocks:
            if other.start >= block.stop:
                below = square[other.start :, block]
                square[other.start :, other] -= below @ square[other, block].T
    for block in reversed(blocks):
        corner = np.linalg.inv(np.tril(square[block, block]).astype(np.float64))
        corner = np.tril(corner).astype(np.float32)
        panel = square[block.stop :, block] @ corner
        for other in blocks:
            if other.start >= block.stop:
                rows = square[other, block.stop : other.stop]
                square[other, block] = -(rows @ panel[: other.stop - block.stop])
        square[block, block] = corner
    for block in blocks:
        square[block, : block.stop] = (
            square[block.start :, block].T @ square[block.start :, : block.stop]
        )


def evaluate(name, weights, train, test):
    gains = 1 / np.log2(np.arange(2, TOP + 2))
    users = [user for user in sorted(test) if test[user]]
    recall = ndcg = 0.0
    for first in range(0, len(users), 512):
        some = users[first : first + 512]
        for user, row in zip(some, train[some] @ weights):
            row[train.indices[train.indptr[user] : train.indptr[user + 1]]] = -np.inf
            top = np.argpartition(-row, TOP)[:TOP]
            top = top[np.argsort(-row[top], kind="stable")]
            hits = np.isin(top, test[user])
            recall += hits.sum() / len(test[user])
            ndcg += gains[hits].sum() / gains[: min(TOP, len(test[user]))].sum()
    print(f"{name}: Recall@20 {recall / len(users):.4f} NDCG@20 {ndcg / len(users):.4f}", flush=True)


def cut(weights, neighbours, size):
    """Keeps the largest of each column by `size(columns, first column)`, in a copy."""
    kept = weights.copy()
    for first in range(0, len(kept), 1024):
        columns = kept[:, first : first + 1024]
        sizes = size(columns, first)
        least = np.partition(sizes, -neighbours, axis=0)[-neighbours]
        columns[(sizes < least) | (sizes <= 0)] = 0
    return kept


def main():
    lines, test = read(sys.argv[1]), read(sys.argv[2])
    ridge = float(sys.argv[3])
    users = 1 + max(lines)
    items = 1 + max(max(line, default=0) for data in (lines, test) for line in data.values())
    pairs = [(user, item) for user, line in lines.items() for item in set(line)]
    ones = np.ones(len(pairs), np.float32)
    train = sparse.csr_matrix((ones, tuple(zip(*pairs))), (users, items))
    by_item = train.T.tocsr()
    weights = np.zeros((items, items), np.float32)
    for first in range(0, items, BLOCK):
        columns = slice(first, first + BLOCK)
        weights[:, columns] = (by_item @ train[:, columns]).toarray()
    diagonal = np.einsum("ii->i", weights)
    counts = diagonal.copy()
    diagonal += ridge
    invert(weights)
    for first in range(0, items, BLOCK):
        block = slice(first, first + BLOCK)
        weights[block, first + BLOCK :] = weights[first + BLOCK :, block].T
        lower = np.tril(weights[block, block])
        weights[block, block] = lower + np.tril(lower, -1).T
    weights *= -1 / diagonal.copy()
    np.fill_diagonal(weights, 0)
    evaluate("dense", weights, train, test)
    if len(sys.argv) > 4:
        neighbours = min(int(sys.argv[4]), items)

        def by_support(columns, first):
            chance = np.outer(counts, counts[first : first + columns.shape[1]]) / users
            return np.where((columns < 0) & (chance < float(sys.argv[5])), 0, np.abs(columns))

        shapes = {"by magnitude": lambda columns, _: np.abs(columns)}
        shapes["by value"] = lambda columns, _: columns
        if len(sys.argv) > 5:
            shapes["by magnitude and support"] = by_support
        for name, size in shapes.items():
            evaluate(name, cut(weights, neighbours, size), train, test)


main()
