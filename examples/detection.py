r"""Train a detector with Ghost modules: on generated pictures in minutes, or on COCO.

    python examples/detection.py                                       # RetinaNet on GhostNet 0.5x
    python examples/detection.py --model ghostify:fasterrcnn_ghostnet
    python examples/detection.py --model retinanet_resnet50_fpn --ratio 2     # converted
    python examples/detection.py --data coco --model ghostify:retinanet_ghostnet_110 \
        --weights ghostnet_110.safetensors --batch 16 --device cuda    # the paper's recipe

Requires ``pip install '.[detection]'``. COCO is a folder with ``train2017``, ``val2017`` and
``annotations``. Prints COCO's mAP (over IoU 0.5 to 0.95) before training and after each epoch.
"""

import argparse
import time
from pathlib import Path

import torch
from PIL import Image
from pycocotools.coco import COCO
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.detection import MeanAveragePrecision
from torchvision.transforms.v2.functional import pil_to_tensor

import ghostify
from ghostify import models

SIDE = 128
SHAPES = ("disc", "rectangle", "triangle")
SMALL = {
    "ghostify:retinanet_ghostnet": {"width": 0.5, "pyramid": 64},
    "ghostify:fasterrcnn_ghostnet": {"width": 0.5, "pyramid": 64, "box_batch_size_per_image": 64},
}
"""Small enough to learn the shapes on a CPU within minutes."""


class Shapes(Dataset):
    """Pictures of one to three shapes of any color on a textured background.

    A picture is ``(3, 128, 128)`` in [0, 1]; its target has ``boxes`` (N, 4) and ``labels`` (N,),
    from 1. They depend only on the seed.
    """

    def __init__(self, number: int, seed: int) -> None:
        self.number, self.seed = number, seed

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        if index >= self.number:
            raise IndexError(index)
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        picture = texture(draw)
        boxes, labels = [], []
        for _ in range(int(torch.randint(1, 4, (), generator=draw))):
            box = place(draw, boxes)
            label = int(torch.randint(len(SHAPES), (), generator=draw))
            color = torch.rand(3, 1, 1, generator=draw)
            picture = torch.where(inside(SHAPES[label], box), color, picture)
            boxes.append(box)
            labels.append(label + 1)
        noise = 0.03 * torch.randn(picture.shape, generator=draw)
        target = {"boxes": torch.stack(boxes), "labels": torch.tensor(labels)}
        return (picture + noise).clamp(0, 1), target


def texture(draw: torch.Generator) -> Tensor:
    """Return smooth noise of three scales."""
    layers = [
        nn.functional.interpolate(
            torch.rand(1, 3, side, side, generator=draw), (SIDE, SIDE), mode="bicubic"
        )[0]
        for side in (3, 8, 32)
    ]
    return (0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]).clamp(0, 1)


def place(draw: torch.Generator, taken: list[Tensor]) -> Tensor:
    """Return a box ``(4,)`` of 28 to 64 pixels a side, apart from the others if there is room."""
    box = torch.zeros(4)
    for _ in range(20):
        size = 28 + 36 * torch.rand(2, generator=draw)
        corner = (SIDE - size) * torch.rand(2, generator=draw)
        box = torch.cat([corner, corner + size]).round()
        apart = ((box[:2] > other[2:]) | (box[2:] < other[:2]) for other in taken)
        if all(bool(clear.any()) for clear in apart):
            break
    return box


def inside(shape: str, box: Tensor) -> Tensor:
    """Return the mask of a shape that fills its box, ``(SIDE, SIDE)``."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    u, v = (x + 0.5 - box[0]) / (box[2] - box[0]), (y + 0.5 - box[1]) / (box[3] - box[1])
    within = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    if shape == "disc":
        return (u - 0.5).square() + (v - 0.5).square() <= 0.25
    if shape == "triangle":
        return within & ((u - 0.5).abs() <= v / 2)
    return within


class Coco(Dataset):
    """A split of COCO: pictures in [0, 1], and boxes in pixels with COCO's labels.

    In training, half of the pictures are flipped, and those without a box are left out.
    """

    def __init__(self, folder: Path, split: str, *, training: bool) -> None:
        self.folder, self.training = folder / f"{split}2017", training
        self.coco = COCO(folder / "annotations" / f"instances_{split}2017.json")
        self.ids = sorted(self.coco.getImgIds())
        if training:
            self.ids = [number for number in self.ids if self.boxes(number)]

    def boxes(self, number: int) -> list[dict]:
        """Return the annotations of a picture; crowds only for evaluation, which ignores them."""
        marked = self.coco.loadAnns(self.coco.getAnnIds(number))
        return [
            one
            for one in marked
            if min(one["bbox"][2:]) > 1 and not (self.training and one["iscrowd"])
        ]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        (about,) = self.coco.loadImgs(self.ids[index])
        with Image.open(self.folder / about["file_name"]) as opened:
            picture = pil_to_tensor(opened.convert("RGB")) / 255
        found = self.boxes(self.ids[index])
        boxes = torch.tensor([one["bbox"] for one in found]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        if self.training and torch.rand(()) < 0.5:
            picture = picture.flip(-1)
            boxes[:, [0, 2]] = picture.shape[-1] - boxes[:, [2, 0]]
        numbers = {"labels": "category_id", "area": "area", "iscrowd": "iscrowd"}
        fields = {
            key: torch.tensor([one[name] for one in found], dtype=torch.int64)
            for key, name in numbers.items()
        }
        return picture, {"boxes": boxes, **fields}


def batches(data: Dataset, size: int, *, training: bool) -> DataLoader:
    return DataLoader(
        data,
        size,
        shuffle=training,
        drop_last=training,
        collate_fn=lambda items: zip(*items, strict=True),
    )


def on(device: torch.device, images, targets) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    return (
        [image.to(device) for image in images],
        [{key: value.to(device) for key, value in target.items()} for target in targets],
    )


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader, device: torch.device) -> dict[str, float]:
    """Return COCO's mAP, and the mAP at IoU 0.5."""
    metric = MeanAveragePrecision(backend="pycocotools")
    metric.warn_on_many_detections = False  # only the best hundred are counted
    model.eval()
    for items in loader:
        images, targets = on(device, *items)
        metric.update(model(images), targets)
    found = metric.compute()
    return {name: max(float(found[name]), 0.0) for name in ("map", "map_50")}


def build(options: argparse.Namespace) -> nn.Module:
    """Build the detector, load its backbone's weights, and convert it if a ratio is given."""
    arguments = {"min_size": options.size, "max_size": options.size * 1333 // 800}
    if not options.data:
        arguments["num_classes"] = 1 + len(SHAPES)
        if options.model in SMALL:
            arguments |= SMALL[options.model]
    model, _ = models.build(ghostify.types.ModelSource(options.model, arguments))
    if options.weights:
        backbone = getattr(model.backbone, "features", model.backbone)
        loaded = models.load_weights(backbone, options.weights, partial=True)  # a classifier's
        print(f"{options.weights}: {loaded}")
    if not options.ratio:
        return model
    image, target = Shapes(1, seed=0)[0]
    example = [image] * 2, [target] * 2  # what training mode is called with
    ghost = ghostify.convert(model, example, ratio=options.ratio)
    print(ghostify.compare(model, ghost, example, name=options.model))
    return ghost


def recipe(model: nn.Module, steps: int, lr: float, *, scratch: bool):
    """Return the optimizer and its schedule.

    From scratch, AdamW with a one-cycle schedule. Otherwise the papers' SGD with warm-up; the
    learning rate is divided by 10 after 2/3 and 11/12 of the steps.
    """
    if scratch:
        optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.02)
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps)
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    warm_up, drops = min(500, steps // 10 + 1), (steps * 2 // 3, steps * 11 // 12)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm_up, 1) * 0.1 ** sum(step >= drop for drop in drops),
    )


def train(model: nn.Module, loaders: tuple[DataLoader, DataLoader], options) -> None:
    """Train, and print the mAP before training and after each epoch."""
    device = torch.device(options.device)
    model.to(device)
    training, validation = loaders
    steps = options.epochs * len(training)
    optimizer, schedule = recipe(model, steps, options.lr, scratch=options.data is None)
    report("before training", None, evaluate(model, validation, device))
    for epoch in range(1, options.epochs + 1):
        begin, seen = time.perf_counter(), []
        model.train()
        for step, items in enumerate(training, 1):
            losses = model(*on(device, *items))
            loss = sum(losses.values())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            seen.append(loss.item())
            if step % 20 == 0:
                recent = sum(seen[-20:]) / 20
                print(f"  epoch {epoch}, step {step} of {len(training)}: loss {recent:.3f}",
                      flush=True)  # fmt: skip
        took = time.perf_counter() - begin
        loss = sum(seen) / len(seen)
        report(f"epoch {epoch} ({took:.0f} s)", loss, evaluate(model, validation, device))


def report(when: str, loss: float | None, found: dict[str, float]) -> None:
    prefix = "" if loss is None else f"loss {loss:.3f}, "
    print(f"{when}: {prefix}mAP {found['map']:.3f}, at IoU 0.5 {found['map_50']:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ghostify:retinanet_ghostnet")
    parser.add_argument("--ratio", type=float, help="convert the model with this ratio s")
    parser.add_argument("--data", type=Path, help="folder of COCO; default: generated shapes")
    parser.add_argument("--weights", type=Path, help="weights of the backbone")
    parser.add_argument("--size", type=int, help="shorter side; default: 128, or 800 on COCO")
    parser.add_argument("--epochs", type=int, help="default: 8, or 12 on COCO")
    parser.add_argument("--pictures", type=int, default=480, help="generated pictures per epoch")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--lr", type=float, help="default: 0.002, or on COCO 0.02 for a batch size of 16"
    )
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.size = options.size or (800 if options.data else SIDE)
    options.epochs = options.epochs or (12 if options.data else 8)
    options.lr = options.lr or (0.02 * options.batch / 16 if options.data else 0.002)
    torch.manual_seed(0)
    if options.data:
        splits = [Coco(options.data, name, training=name == "train") for name in ("train", "val")]
    else:
        splits = [Shapes(options.pictures, seed=1), Shapes(max(options.pictures // 8, 8), seed=2)]
    loaders = tuple(
        batches(data, options.batch, training=training)
        for data, training in zip(splits, (True, False), strict=True)
    )
    train(build(options), loaders, options)


if __name__ == "__main__":
    main()
