"""The networks of the sweep, with an example input for each."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

TIMM = """
beit_base_patch16_224 halonet_h1 eca_botnext26ts_256 eca_halonext26ts mobileone_s0 mobileone_s1
mobileone_s2 cait_xxs24_224 coat_tiny coat_lite_tiny coat_mini convit_tiny convmixer_768_32
convmixer_1024_20_ks9_p14 test_convnext test_convnext2 test_convnext3 cpubone_nano cpubone_t0
cpubone_s0 crossvit_tiny_240 csatv2 csatv2_21m cs3darknet_focus_s cs3darknet_s cs3darknet_focus_m
cspnext_tiny cspnext_s cspnext_m davit_tiny deit_tiny_patch16_224 densenet121 densenetblur121d
densenet169 dla46x_c dla46_c dla60x_c dpn48b dpn68 dpn68b edgenext_xx_small edgenext_x_small
edgenext_small efficientformer_l1 efficientformer_l3 efficientformerv2_s0 efficientformerv2_s1
efficientformerv2_s2 efficientnet_lite0 efficientnet_b0 efficientnet_b0_gn efficientvim_m1
efficientvim_m1_dist efficientvim_m2 efficientvit_b0 efficientvit_b1 efficientvit_b2
efficientvit_m0 efficientvit_m1 efficientvit_m2 vit_tiny_patch16_dinov3_qkvb fasternet_t0
fasternet_t1 fasternet_t2 fastvit_t8 fastvit_t12 fastvit_s12 focalnet_tiny_srf focalnet_tiny_lrf
gcvit_xxtiny gcvit_xtiny ghostnet_050 ghostnet_100 ghostnetv3_050 hardcorenas_a hardcorenas_b
hardcorenas_c hgnetv2_b0 hgnetv2_b1 hgnetv2_b2 hiera_tiny_224 sam2_hiera_tiny hrnet_w18_small
hrnet_w18_small_v2 hrnet_w18_ssld iformer_t iformer_s iformer_m inception_next_atto
inception_next_tiny inception_resnet_v2 inception_v3 inception_v4 lcnetv2_small lcnetv2_base
levit_128s levit_conv_128s lowformer_b0 lowformer_b1 lowformer_e1 test_mambaout mambaout_femto
mambaout_kobe maxvit_pico_rw_256 maxvit_rmlp_pico_rw_256 coatnet_pico_rw_224 poolformerv2_s12
poolformer_s12 poolformerv2_s24 gmlp_ti16_224 mobilenetv3_small_050 lcnet_035 lcnet_050
mobilenetv5_base mobilevit_xxs mobilevitv2_050 mobilevit_xs mvitv2_tiny mvitv2_small nest_tiny
nextvit_small test_nfnet nf_regnet_b0 nf_regnet_b1 pit_ti_224 pvt_v2_b0 pvt_v2_b1 pvt_v2_b2_li
qwen3_vit_88m rdnet_tiny regnetx_002 regnety_002 regnety_004 repghostnet_050 repghostnet_058
repghostnet_080 repvit_m0_9 repvit_m1 repvit_m1_0 res2next50 res2net50_14w_8s resnest14d
resnest26d resnet10t resnet14t resnet18 resnetv2_18 resnetv2_18d resnetv2_50x1_bit rexnet_100
rexnetr_100 rexnet_130 selecsls42 selecsls60 legacy_seresnet18 legacy_seresnext26_32x4d
legacy_seresnet34 sequencer2d_s shvit_s1 shvit_s2 shvit_s3 skresnet18 skresnet34 starnet_s050
starnet_s100 starnet_s150 swiftformer_xs swiftformer_s swiftformer_l1 swin_tiny_patch4_window7_224
swinv2_tiny_window8_256 swinv2_cr_tiny_224 tf_efficientnet_b0 tf_mixnet_s tiny_vit_5m_224
tiny_vit_11m_224 tnt_s_legacy_patch16_224 tresnet_m twins_svt_small twins_pcpvt_small vgg11
visformer_tiny test_vit vit_tiny_r_s16_p8_224 test_vit_relpos samvit_base_patch16_224
vitamin_small_224 volo_d1_224 ese_vovnet19b_slim_dw ese_vovnet19b_slim ese_vovnet19b_dw
legacy_xception xception41p xception41 xcit_nano_12_p8_224 xcit_nano_12_p16_224 nasnetalarge
pnasnet5large deepseek_vit_412m
""".split()  # noqa: SIM905, a list of names is read more easily so

OWN_SIZE_ONLY = ("halonet", "eca_halonext", "deepseek")
"""Architectures of timm that do not run at 192 pixels and do not say so."""

SEGMENTATION_MODELS = [
    ("Unet", "resnet18"), ("Unet", "efficientnet-b0"), ("Unet", "mobilenet_v2"),
    ("Unet", "vgg11_bn"), ("Unet", "densenet121"), ("UnetPlusPlus", "resnet18"),
    ("UnetPlusPlus", "timm-efficientnet-b0"), ("MAnet", "resnet18"), ("MAnet", "mobileone_s0"),
    ("Linknet", "resnet18"), ("Linknet", "dpn68"), ("FPN", "resnet18"), ("FPN", "efficientnet-b1"),
    ("FPN", "se_resnet50"), ("PSPNet", "resnet18"), ("PSPNet", "xception"), ("PAN", "resnet18"),
    ("DeepLabV3", "resnet18"), ("DeepLabV3Plus", "mobilenet_v2"), ("UPerNet", "resnet18"),
    ("Segformer", "mit_b0"), ("DPT", "tu-vit_tiny_patch16_224.augreg_in21k"),
]  # fmt: skip


@dataclass(frozen=True)
class Network:
    """One network: ``family:name``, its builder and its example input."""

    name: str
    build: Callable[[], nn.Module]
    example: Callable[[nn.Module], Any]


def networks() -> list[Network]:
    """Return all networks whose library is installed."""
    found = [*_torchvision(), *_torchvision_dense(), *_torchvision_quantizable()]
    for library, make in {
        "timm": _timm,
        "segmentation_models_pytorch": _segmentation_models,
        "transformers": _transformers,
        "ultralytics": _ultralytics,
    }.items():
        if importlib.util.find_spec(library) is not None:
            found += make()
    return found


def _images(*shape: int) -> Callable[[nn.Module], torch.Tensor]:
    return lambda model: torch.rand(*shape)


def _torchvision() -> Iterator[Network]:
    from torchvision import models

    for name in models.list_models(module=models):
        options: dict[str, Any] = {"weights": None}
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False
        side = 224 if name.startswith(("vit", "maxvit")) else 299 if "inception" in name else 128
        yield Network(
            f"torchvision:{name}",
            lambda name=name, options=options: models.get_model(name, **options),
            _images(2, 3, side, side),
        )


def _torchvision_dense() -> Iterator[Network]:
    from torchvision import models

    options = {"weights": None, "weights_backbone": None}
    for name in models.list_models(module=models.segmentation):
        yield Network(
            f"torchvision:{name}",
            lambda name=name: models.get_model(name, **options),
            _images(2, 3, 96, 96),
        )
    for name in models.list_models(module=models.detection):
        sizes = {} if name.startswith("ssd") else {"min_size": 96, "max_size": 128}
        if "rcnn" in name:
            sizes |= {"rpn_post_nms_top_n_train": 20, "rpn_post_nms_top_n_test": 20}
        yield Network(
            f"torchvision:{name}",
            lambda name=name, sizes=sizes: models.get_model(name, **options, **sizes),
            lambda model: _image_and_targets(),
        )
    for name in models.list_models(module=models.optical_flow):
        yield Network(
            f"torchvision:{name}",
            lambda name=name: models.get_model(name, weights=None),
            lambda model: (torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128)),
        )


def _image_and_targets() -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    target = {
        "boxes": torch.tensor([[10.0, 10.0, 90.0, 90.0]]),
        "labels": torch.tensor([1]),
        "masks": torch.ones(1, 120, 150, dtype=torch.uint8),
        "keypoints": torch.full((1, 17, 3), 50.0),
    }
    return [torch.rand(3, 120, 150) for _ in range(2)], [target, target]


def _torchvision_quantizable() -> Iterator[Network]:
    from torchvision import models

    for name in models.list_models(module=models.quantization):
        options: dict[str, Any] = {"weights": None, "quantize": False}
        if "googlenet" in name or "inception" in name:
            options["init_weights"] = False
        yield Network(
            f"torchvision:{name}",
            lambda name=name, options=options: models.get_model(name, **options),
            _images(2, 3, *([299, 299] if "inception" in name else [128, 128])),
        )


def _timm() -> Iterator[Network]:
    import timm

    def example(model: Any) -> torch.Tensor:
        settings = model.default_cfg
        channels, *sides = settings["input_size"]
        fixed = settings.get("fixed_input_size")
        if not fixed and not settings["architecture"].startswith(OWN_SIZE_ONLY):
            sides = [min(side, 192) for side in sides]
        return torch.rand(2, channels, *sides)

    for name in TIMM:
        yield Network(f"timm:{name}", lambda name=name: timm.create_model(name), example)


def _segmentation_models() -> Iterator[Network]:
    import segmentation_models_pytorch as smp

    for decoder, encoder in SEGMENTATION_MODELS:
        side = {"DPT": 224, "PAN": 128}.get(decoder, 96)
        yield Network(
            f"smp:{decoder}/{encoder}",
            lambda decoder=decoder, encoder=encoder: smp.create_model(
                decoder, encoder, encoder_weights=None, classes=3
            ),
            _images(2, 3, side, side),
        )


def _transformers() -> Iterator[Network]:
    import transformers as hf

    swin = hf.SwinConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
    resnet = hf.ResNetConfig(out_features=["stage4"])
    made = {
        "resnet": lambda: hf.ResNetForImageClassification(hf.ResNetConfig()),
        "convnext": lambda: hf.ConvNextForImageClassification(hf.ConvNextConfig()),
        "mobilenet_v2": lambda: hf.MobileNetV2ForImageClassification(hf.MobileNetV2Config()),
        "regnet": lambda: hf.RegNetForImageClassification(hf.RegNetConfig()),
        "bit": lambda: hf.BitForImageClassification(hf.BitConfig(layer_type="bottleneck")),
        "segformer": lambda: hf.SegformerForSemanticSegmentation(hf.SegformerConfig()),
        "detr": lambda: hf.DetrForObjectDetection(
            hf.DetrConfig(backbone_config=resnet, use_timm_backbone=False, backbone=None)
        ),
        "mask2former": lambda: hf.Mask2FormerForUniversalSegmentation(
            hf.Mask2FormerConfig(backbone_config=swin)
        ),
    }
    for name, build in made.items():
        yield Network(
            f"transformers:{name}",
            build,
            lambda model: {"pixel_values": torch.rand(2, 3, 128, 128)},
        )


def _ultralytics() -> Iterator[Network]:
    from ultralytics.nn.tasks import DetectionModel

    for name in ("yolov8n", "yolo11n"):
        yield Network(
            f"ultralytics:{name}",
            lambda name=name: DetectionModel(f"{name}.yaml", verbose=False),
            _images(2, 3, 128, 128),
        )
