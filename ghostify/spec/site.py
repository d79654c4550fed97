"""One convolution at its place in the model."""

from dataclasses import dataclass

from ghostify.spec.geometry import Geometry


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSite:
    """A convolution as `analyze` found it.

    Attributes:
        name: qualified name, as in ``model.named_modules()``.
        type: class name, such as ``Conv2d``.
        geometry: its numbers.
        within: class names of the modules around it, the model's own first.
        output: height and width of the map it makes (of the first call); None if never called.
        calls: how often one forward pass calls it.
        positions: kernel applications in one forward pass: batch x output positions, summed
            over the calls (input positions where the convolution is transposed).
        functional: whether it is a call of a function; then no module has this name.
        seen: how its call was found: ``graph`` if a torch.fx trace shows it, ``run`` if only the
            forward pass did; None if it is never called.
        stem: whether it is the first convolution of the network.
        obstacle: why no Ghost module can take its place; None where one can.
    """

    name: str
    type: str
    geometry: Geometry
    within: tuple[str, ...] = ()
    output: tuple[int, ...] | None = None
    calls: int = 0
    positions: int = 0
    functional: bool = False
    stem: bool = False
    seen: str | None = None
    obstacle: str | None = None

    @property
    def output_map(self) -> str:
        """The output map for people: ``56x56``, or ``-`` if the site is never called."""
        return "x".join(map(str, self.output)) if self.output is not None else "-"
