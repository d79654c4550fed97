"""Photographs of objects, animals, buildings and landscapes that come with two Debian packages.

Cut-out photographs of tuxpaint-stamps-default are put on a light square; those of gcompris-qt-data
are in resource files of Qt. Needs ``apt-get`` and ``dpkg-deb``.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

SIDES = ("train", "test")

_PACKAGES = ("tuxpaint-stamps-default", "gcompris-qt-data")
_DRAWINGS = ("cartoon", "symbols", "seasonal", "flags", "roadsigns", "shapes", "faces")
"""Words in the paths of stamps that are not photographs."""

_RESOURCES = (
    "categorization", "explore_monuments", "explore_world_animals", "explore_farm_animals",
    "explore_world_music", "erase", "lang",
)  # fmt: skip
_WEBP_OR_JPEG = re.compile(rb"RIFF(....)WEBP|\xff\xd8\xff[\xe0\xe1\xdb]", re.DOTALL)
_SMALLEST, _LARGEST = 60, 400
"""Sides in pixels."""

_MARGIN = 1.25
_TEST_TENTHS = 3
_NEAR = 6
"""Different bits of the fingerprints of near duplicates, of 64."""


def make(folder: Path) -> None:
    """Write the photographs to ``folder/train`` and ``folder/test``, unless the folder is there.

    Near duplicates, such as two frames of one scene, are all on one side.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        share = _download(Path(temporary))
        images = (*_stamps(share), *_resources(share))
        flat = {name: _flat(name, image) for name, image in images}
        made = Path(temporary) / "photographs"
        for side in SIDES:
            (made / side).mkdir(parents=True)
        large = {name: image for name, image in flat.items() if min(image.size) >= _SMALLEST}
        for names in _near_duplicates(large):
            side = SIDES[_digest(names[0]) % 10 < _TEST_TENTHS]
            for name in names:
                file = made / side / f"{name.replace('/', '-').removesuffix('.png')}.jpg"
                large[name].save(file, quality=95)
        made.rename(folder)


def _download(folder: Path) -> Path:
    """Unpack the packages, without installing them, and return their ``/usr/share``."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["apt-get", "download", *_PACKAGES], cwd=folder, check=True, **quiet)
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder / "usr" / "share"


def _stamps(share: Path) -> Iterator[tuple[str, Image.Image]]:
    for file in sorted((share / "tuxpaint" / "stamps").rglob("*.png")):
        name = str(file.relative_to(share))
        if not any(word in name for word in _DRAWINGS):
            yield name, Image.open(file)


def _resources(share: Path) -> Iterator[tuple[str, Image.Image]]:
    for name in _RESOURCES:
        data = (share / "gcompris-qt" / "rcc" / f"{name}.rcc").read_bytes()
        for found in _WEBP_OR_JPEG.finditer(data):
            start = found.start()
            size = found[1]
            end = data.find(b"\xff\xd9", start) + 2
            if size is not None:
                end = start + 8 + int.from_bytes(size, "little")
            try:
                image = Image.open(BytesIO(data[start:end]))
                image.load()
            except (UnidentifiedImageError, OSError):  # no image, or a thumbnail within one
                continue
            yield f"{name}/{start}", image


def _flat(name: str, image: Image.Image) -> Image.Image:
    """Put a cut-out in the middle of a light square, and shrink large images."""
    if image.mode != "RGB" and image.mode != "L":
        image = image.convert("RGBA")
        image = image.crop(image.getchannel("A").getbbox())
        side = int(max(image.size) * _MARGIN)
        light = 170 + _digest(name) // 10 % 86
        ground = Image.new("RGBA", (side, side), (light, light, light, 255))
        ground.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
        image = ground
    image = image.convert("RGB")
    image.thumbnail((_LARGEST, _LARGEST))
    return image


def _near_duplicates(photographs: dict[str, Image.Image]) -> list[list[str]]:
    """Return groups of names: whoever is near to one of a group belongs to it."""
    groups: list[dict[str, int]] = []
    for name, image in photographs.items():
        mark = _fingerprint(image)
        near = [g for g in groups if any((mark ^ m).bit_count() <= _NEAR for m in g.values())]
        groups = [group for group in groups if group not in near]
        groups.append({other: m for group in near for other, m in group.items()} | {name: mark})
    return [list(group) for group in groups]


def _fingerprint(image: Image.Image) -> int:
    """Return 64 bits: whether the next pixel to the right is lighter, of 9x8 gray ones."""
    gray = image.convert("L").resize((9, 8), Image.Resampling.LANCZOS).tobytes()
    lighter = (gray[9 * row + x + 1] > gray[9 * row + x] for row in range(8) for x in range(8))
    return sum(bit << place for place, bit in enumerate(lighter))


def _digest(name: str) -> int:
    return int(hashlib.sha1(name.encode()).hexdigest(), 16)
