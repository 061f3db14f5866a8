"""The ten nearest of many vectors: Nowcast beside hnswlib and faiss, one thread each.

    python3 docs/compare/retrieval.py FOLDER gaussian|clustered|ials ITEMS [FILE] [--flat-only]

Runs `cargo run --example retrieval_speed` (or what RETRIEVAL_SPEED names), which makes vectors,
queries and the true answers and leaves them in FOLDER, and asks all of them in turn, five rounds,
by the CPU clock; prints the medians as one JSON object. hnswlib is built with M 16 and 32 (200
candidates at construction) and asked with the smallest `ef` whose recall is at least 0.98 on the
queries themselves; the faster of both is kept in FOLDER for the next call. faiss has the flat index,
all queries at once and one by one. Needs PyPI's `numpy`, `hnswlib` and `faiss-cpu`.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import zlib

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
try:
    import faiss
    import hnswlib
    import numpy as np
except ImportError as error:
    sys.exit(f"{error}: pip install numpy hnswlib faiss-cpu")

SIDE, K, RECALL, ROUNDS = 64, 10, 0.98, 5
EF_STEP, EF_MAX = 1.15, 4000
SINGLE = 32  # queries that are asked of faiss one by one
CARGO = "cargo run --release -q -p nowcast-models --example retrieval_speed --"


def asked(ask, queries, truth):
    start = time.process_time()
    found = ask(queries)
    spent = time.process_time() - start
    recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth)])
    return {"queries_per_cpu_second": len(queries) / spent, "recall": float(recall)}


def ask_hnsw(index, ef):
    index.set_num_threads(1)
    index.set_ef(ef)
    return lambda queries: index.knn_query(queries, k=K)[0]


def smallest_ef(index, queries, truth):
    """`ef` in steps of 15 %, and what it gives; the largest if none finds enough."""
    ef = K
    while True:
        got = asked(ask_hnsw(index, ef), queries, truth)
        if got["recall"] >= RECALL or ef >= EF_MAX:
            return ef, got
        ef = min(max(ef + 1, int(ef * EF_STEP)), EF_MAX)


def hnsw(folder, items, queries, truth):
    """The faster of two degrees, from FOLDER if it has one of these vectors, with its setting."""
    print_of = f"{zlib.crc32(items.tobytes()):08x}"
    kept, file = folder / f"hnsw-{print_of}.json", str(folder / f"hnsw-{print_of}.bin")
    index = hnswlib.Index(space="ip", dim=SIDE)
    if kept.exists():
        index.load_index(file)
        return index, json.loads(kept.read_text())
    best, chosen = None, None
    for degree in [16, 32]:
        index = hnswlib.Index(space="ip", dim=SIDE)
        index.init_index(len(items), M=degree, ef_construction=200, random_seed=1)
        start = time.process_time()
        index.add_items(items)
        build = time.process_time() - start
        ef, got = smallest_ef(index, queries, truth)
        rank = (got["recall"] >= RECALL, got["queries_per_cpu_second"])
        if best is None or rank > best:
            best, chosen = rank, (index, {"m": degree, "ef": ef, "build_cpu_s": round(build, 1)})
    index, setting = chosen
    index.save_index(file)
    kept.write_text(json.dumps(setting))
    return index, setting


def main():
    words = [word for word in sys.argv[1:] if word != "--flat-only"]
    folder = pathlib.Path(words[0])
    command = os.environ.get("RETRIEVAL_SPEED", CARGO).split()
    ours = subprocess.Popen(command + words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    built = json.loads(ours.stdout.readline())
    items = np.fromfile(folder / "items.f32", "<f4").reshape(-1, SIDE)
    queries = np.fromfile(folder / "queries.f32", "<f4").reshape(-1, SIDE)
    truth = np.fromfile(folder / "truth.u32", "<u4").reshape(-1, K)
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(SIDE)
    flat.add(items)
    one_by_one = lambda some: [flat.search(some[at:at + 1], K)[1][0] for at in range(len(some))]
    asks = {
        "faiss_flat": (lambda some: flat.search(some, K)[1], len(queries)),
        "faiss_flat_one_by_one": (one_by_one, SINGLE),
    }
    result = {"items": len(items), "queries": len(queries), "built": built}
    if "--flat-only" not in sys.argv:
        index, setting = hnsw(folder, items, queries, truth)
        result["hnsw_setting"] = setting
        asks["hnsw"] = (ask_hnsw(index, setting["ef"]), len(queries))
    rounds = []
    for _ in range(ROUNDS):
        ours.stdin.write("\n")
        ours.stdin.flush()
        got = json.loads(ours.stdout.readline())
        for name, (ask, count) in asks.items():
            got[name] = asked(ask, queries[:count], truth[:count])
        rounds.append(got)
    for name in rounds[0]:
        rates = [one[name]["queries_per_cpu_second"] for one in rounds]
        result[name] = {"queries_per_cpu_second": round(statistics.median(rates), 1),
                        "recall": rounds[-1][name]["recall"]}
    rate = lambda name: result[name]["queries_per_cpu_second"]
    best = max(["index", "index_batched", "scan_batched"], key=rate)
    result["cpu_of_faiss_flat"] = round(rate("faiss_flat") / rate(best), 3)
    if "hnsw" in result:
        result["times_hnsw"] = round(rate(best) / rate("hnsw"), 2)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
