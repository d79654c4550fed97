"""Predict and train with a converted YOLO in Ultralytics.

Ultralytics is licensed under AGPL-3.0. One adaptation is needed: its trainer builds a new network
from the model's yaml file.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer

import ghostify

SIDE = 64


def write_dataset(folder: Path, count: int = 8) -> Path:
    """Write bright squares on noise, in the layout that Ultralytics reads."""
    random = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for number in range(count):
        pixels = random.integers(0, 100, (SIDE, SIDE, 3), dtype=np.uint8)
        left, top = random.integers(0, SIDE // 2, 2)
        pixels[top : top + 24, left : left + 24] = 255
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        x, y, side = (left + 12) / SIDE, (top + 12) / SIDE, 24 / SIDE
        (folder / "labels" / f"{number}.txt").write_text(f"0 {x} {y} {side} {side}\n")
    yaml = folder / "data.yaml"
    yaml.write_text(f"path: {folder}\ntrain: images\nval: images\nnames: {{0: square}}\n")
    return yaml


yolo = YOLO("yolov8n.yaml")
example = torch.zeros(1, 3, SIDE, SIDE)
ghost = ghostify.convert(yolo.model, example, ratio=2)
print(ghostify.compare(yolo.model, ghost, example, name="yolov8n"))


class GhostTrainer(DetectionTrainer):
    """A trainer of the converted network."""

    def get_model(self, cfg=None, weights=None, verbose=True):
        return ghost


with tempfile.TemporaryDirectory() as folder:
    data = write_dataset(Path(folder))
    yolo.model = ghost
    (result,) = yolo.predict(Path(folder) / "images" / "0.png", imgsz=SIDE, verbose=False)
    print(f"predict: {len(result.boxes)} boxes")
    yolo.train(
        trainer=GhostTrainer, data=data, epochs=1, imgsz=SIDE, batch=4, workers=0, device="cpu",
        project=folder, plots=False, amp=False, val=False, verbose=False,
    )  # fmt: skip
    trained = sum(isinstance(module, ghostify.GhostModule) for module in yolo.model.modules())
    print(f"train: one epoch, {trained} Ghost modules in the trained network")
