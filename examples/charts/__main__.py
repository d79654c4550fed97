"""Draw the charts of the documentation from the tables on its pages.

    python examples/charts

Run it after you changed a table in ``docs/results``. It writes ``docs/images/*.svg``.
"""

from pathlib import Path

from charts import CHARTS

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def main() -> None:
    for name, draw in CHARTS.items():
        (IMAGES / f"{name}.svg").write_text(f"{draw()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
