"""Train a YOLO of Ultralytics to find bright squares in noise: something to convert.

    python examples/clients/train_yolo.py

Takes less than a minute on a CPU. Writes ``squares`` (images, labels and ``data.yaml``) and
``best.pt`` to the working directory. Ultralytics is licensed under AGPL-3.0.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from ultralytics import YOLO

IMAGE, SQUARE, IMAGES = 64, 24, 64  # pixels of a side, and number


def write_squares(folder: Path) -> Path:
    """Write images and labels in the layout that Ultralytics reads; return the yaml file."""
    random = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in range(IMAGES):
        pixels = random.integers(0, 100, (IMAGE, IMAGE, 3), dtype=np.uint8)
        left, top = random.integers(0, IMAGE - SQUARE, 2)
        pixels[top : top + SQUARE, left : left + SQUARE] = 255
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        x, y, side = (left + SQUARE / 2) / IMAGE, (top + SQUARE / 2) / IMAGE, SQUARE / IMAGE
        (folder / "labels" / f"{number}.txt").write_text(f"0 {x} {y} {side} {side}\n")
    yaml = folder / "data.yaml"
    yaml.write_text(f"path: {folder.resolve()}\ntrain: images\nval: images\nnames: {{0: square}}\n")
    return yaml


torch.manual_seed(0)
yolo = YOLO("yolov8n.yaml")
scores = yolo.train(
    data=write_squares(Path("squares")), epochs=20, imgsz=IMAGE, batch=8, workers=0, device="cpu",
    amp=False, plots=False, verbose=False,
)  # fmt: skip
shutil.copy(yolo.trainer.best, "best.pt")
print(f"mAP50-95 {scores.box.map:.3f}: best.pt")
