"""Draws how models did along a stream: the table of `nowcast evaluate --prequential --curve`.

    pip install matplotlib
    python3 curve.py curve.csv curve.svg [guesses averaged over, 4000 if not given]

A point is the mean over the hours that make up the last so many guesses, at the end of an hour."""

import csv
import sys
from collections import defaultdict, deque

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

table, picture = sys.argv[1:3]
window = int(sys.argv[3]) if len(sys.argv) > 3 else 4000
colours = {"live": "#0b7a75", "hourly": "#d1495b", "daily": "#edae49", "never": "#8d99ae"}

rows = defaultdict(list)
with open(table, newline="") as file:
    reader = csv.reader(file)
    metric = next(reader)[4]
    for model, refresh, hour, scored, value, *_ in reader:
        rows[model, refresh].append((int(hour), int(scored), float(value)))

figure, axes = pyplot.subplots(figsize=(8, 3.6))
for (model, refresh), hours in rows.items():
    kept, guesses, total, done, points = deque(), 0, 0.0, 0, []
    for _, scored, value in hours:
        kept.append((scored, value))
        guesses, total, done = guesses + scored, total + scored * value, done + scored
        while guesses - kept[0][0] >= window:
            gone = kept.popleft()
            guesses, total = guesses - gone[0], total - gone[0] * gone[1]
        if guesses >= window:
            points.append((done, total / guesses))
    style = "-" if model != "popular" else ":"
    axes.plot(*zip(*points), style, color=colours[refresh], lw=1.4, label=f"{model}, {refresh}")
axes.set_xlabel("guesses")
axes.set_ylabel(metric)
axes.set_ylim(bottom=0)
axes.grid(alpha=0.25)
axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
for side in ("top", "right"):
    axes.spines[side].set_visible(False)
figure.tight_layout()
matplotlib.rcParams["svg.hashsalt"] = "nowcast"
figure.savefig(picture, metadata={"Date": None})
