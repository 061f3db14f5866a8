"""hnswlib and faiss on the vectors of `nowcast bench retrieval`, one thread each.

    python3 docs/compare/retrieval.py FOLDER

FOLDER holds `items.f32` and `queries.f32` (rows of 64 values) and `truth.u32` (the ten best rows of
each query), little endian. The first call builds an index for each of two degrees (M 16 and 32,
200 candidates at construction), looks for the smallest `ef` whose recall is at least 0.98, and
leaves the faster of both in FOLDER; later calls only ask it. Prints one JSON object. Needs PyPI's
`numpy`, `hnswlib` and `faiss-cpu`.
"""

import json
import os
import pathlib
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
try:
    import faiss
    import hnswlib
    import numpy as np
except ImportError as error:
    sys.exit(f"{error}: pip install numpy hnswlib faiss-cpu")

SIDE, K, RECALL = 64, 10, 0.98
EF = [20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920, 2560]


def recall(found, truth):
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth)]))


def timed(ask):
    start = time.process_time()
    found = ask()
    return found, time.process_time() - start


def ask_hnsw(index, ef, queries):
    index.set_num_threads(1)
    index.set_ef(ef)
    found, spent = timed(lambda: index.knn_query(queries, k=K)[0])
    return found, spent


def prepare(folder, items, queries, truth):
    """The fastest setting that finds enough, or the one that finds most."""
    best = None
    for degree in [16, 32]:
        index = hnswlib.Index(space="ip", dim=SIDE)
        index.init_index(len(items), M=degree, ef_construction=200, random_seed=1)
        index.add_items(items)
        for ef in EF:
            found, spent = ask_hnsw(index, ef, queries)
            hit = recall(found, truth)
            if hit >= RECALL or ef == EF[-1]:
                setting = {"m": degree, "ef": ef, "recall": hit, "seconds": spent}
                rank = (hit >= RECALL, -spent if hit >= RECALL else hit)
                if best is None or rank > best[0]:
                    best = (rank, setting)
                    index.save_index(str(folder / "hnsw.bin"))
                break
    (folder / "hnsw.json").write_text(json.dumps(best[1]))


def main():
    folder = pathlib.Path(sys.argv[1])
    items = np.fromfile(folder / "items.f32", "<f4").reshape(-1, SIDE)
    queries = np.fromfile(folder / "queries.f32", "<f4").reshape(-1, SIDE)
    truth = np.fromfile(folder / "truth.u32", "<u4").reshape(-1, K)
    result = {}
    if "--flat-only" not in sys.argv:
        if not (folder / "hnsw.json").exists():
            prepare(folder, items, queries, truth)
        setting = json.loads((folder / "hnsw.json").read_text())
        index = hnswlib.Index(space="ip", dim=SIDE)
        index.load_index(str(folder / "hnsw.bin"))
        found, spent = ask_hnsw(index, setting["ef"], queries)
        result["hnsw"] = {"m": setting["m"], "ef": setting["ef"], "recall": recall(found, truth),
                          "queries_per_cpu_second": len(queries) / spent}
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(SIDE)
    flat.add(items)
    some = queries[:256]
    found, spent = timed(lambda: flat.search(some, K)[1])
    _, single = timed(lambda: [flat.search(some[at:at + 1], K) for at in range(32)])
    result["faiss_flat"] = {"recall": recall(found, truth[:256]),
                            "queries_per_cpu_second": len(some) / spent,
                            "one_by_one_per_cpu_second": 32 / single}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
