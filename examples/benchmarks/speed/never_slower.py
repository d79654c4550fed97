"""Speed-up of networks that are planned by time for a runtime.

    python -m speed.never_slower [--networks resnet18,...] [--runtimes onnxruntime,openvino]

Requires ``pip install -e '.[export]'``. Each network is planned with the latencies of its layers
(timed first, some minutes for a new network, then cached), converted, and timed against its
original with interleaved runs. One thread, batch 1, 224x224, random weights.
"""

import argparse

import torch
from torchvision.models import get_model

import ghostify
from ghostify.deployment.environment import processor
from ghostify.planning import plan_sites

NETWORKS = (
    "resnet18,resnet50,resnext50_32x4d,wide_resnet50_2,vgg11_bn,vgg16_bn,alexnet,squeezenet1_1,"
    "densenet121,googlenet,mobilenet_v2,mobilenet_v3_large,efficientnet_b0,shufflenet_v2_x1_0,"
    "mnasnet1_0"
)


def row(name: str, runtime: str, seconds: float) -> str:
    image = torch.randn(1, 3, 224, 224)
    model = get_model(name).eval()
    sites = ghostify.analyze(model, image)
    latencies = ghostify.layer_latency(
        model, image, runtime=runtime, candidates=[ghostify.GhostSpec(2, 3)]
    )
    plan = plan_sites(sites, latencies=latencies)
    possible = len(plan_sites(sites).replaced)
    if not plan.replaced:
        return f"| {name} | {runtime} | 0 of {possible} | 1 | nothing is faster: left as it is |"
    ghost = ghostify.convert(model, image, plan=plan, init="random")
    models = {"original": model, "ghost": ghost}
    timing = ghostify.benchmark(models, image, runtime=[runtime], seconds=seconds)
    measured = timing.measurements[1]
    return (
        f"| {name} | {runtime} | {len(plan.replaced)} of {possible} | "
        f"{timing.macs_ratio('ghost'):.2f} | {measured.speedup.median:.2f} "
        f"({measured.speedup.lower:.2f}-{measured.speedup.upper:.2f}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--runtimes", default="onnxruntime,openvino")
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    torch.manual_seed(0)
    print(f"{processor()}; one thread; speed-up with quartiles\n")
    print("| network | runtime | replaced | MACs ratio | speed-up |\n|---|---|---|---|---|")
    for name in options.networks.split(","):
        for runtime in options.runtimes.split(","):
            print(row(name, runtime, options.seconds), flush=True)


if __name__ == "__main__":
    main()
