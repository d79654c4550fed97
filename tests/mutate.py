"""Put random small faults into a room, and count those that its tests notice.

    python tests/mutate.py io --count 10 --seed 0

A fault exchanges, negates or removes one comparison, operator, number, argument or statement.
It is noticed if a test of the room that reaches its line fails, or runs far too long. Some faults
change nothing that anyone could see: which of the missed ones these are, a reader must tell.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from coverage import CoverageData

ROOT = Path(__file__).parents[1]
IGNORED = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "site")
EXCHANGED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div,
    ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
TIMES_SLOWER = 10


def faults(tree: ast.AST) -> Iterator[tuple[ast.stmt, Callable[[], None]]]:
    """Yield the statement and the change in place of every fault that ``tree`` can have."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for statement in _statements(function):
                for node in _expressions(statement):
                    for change in _changes(node):
                        yield statement, change
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                    yield statement, lambda it=statement: setattr(it, "value", ast.Constant(None))


def _statements(function: ast.FunctionDef) -> Iterator[ast.stmt]:
    waiting = list(function.body)
    while waiting:
        statement = waiting.pop(0)
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            continue
        yield statement
        for child in ast.iter_child_nodes(statement):
            inside = getattr(child, "body", []) if isinstance(child, ast.ExceptHandler) else [child]
            waiting += [each for each in inside if isinstance(each, ast.stmt)]


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Walk what belongs to ``statement`` alone, without annotations and messages of errors."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Lambda):
            continue
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                inside = isinstance(child, ast.expr | ast.keyword | ast.comprehension)
                if inside and name not in ("annotation", "func"):
                    waiting.append(child)


def _changes(node: ast.AST) -> Iterator[Callable[[], None]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield lambda: setattr(node, "ops", [EXCHANGED[type(node.ops[0])]()])
    elif isinstance(node, ast.BoolOp | ast.BinOp | ast.AugAssign) and type(node.op) in EXCHANGED:
        yield lambda: setattr(node, "op", EXCHANGED[type(node.op)]())
    elif isinstance(node, ast.Constant) and type(node.value) in (bool, int, float):
        changed = not node.value if isinstance(node.value, bool) else 2 * node.value + 1
        yield lambda: setattr(node, "value", changed)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            yield lambda keyword=keyword: node.keywords.remove(keyword)
        if len(node.args) > 1 and not any(isinstance(arg, ast.Starred) for arg in node.args[:2]):
            yield lambda: node.args.insert(0, node.args.pop(1))


@dataclass
class Fault:
    """One fault of a file: where it is, and the statement before and after."""

    path: Path
    index: int

    def write(self) -> str:
        """Write the fault into its file, and return what was changed."""
        tree = ast.parse(self.path.read_text())
        statement, change = list(faults(tree))[self.index]
        before = ast.unparse(statement).splitlines()
        change()
        after = ast.unparse(statement).splitlines()
        self.path.write_text(ast.unparse(ast.fix_missing_locations(tree)))
        pairs = zip_longest(before, after, fillvalue="")
        return "".join(f"\n  - {old}\n  + {new}" for old, new in pairs if old != new)

    @property
    def line(self) -> int:
        return list(faults(ast.parse(self.path.read_text())))[self.index][0].lineno


def run(copy: Path, tests: list[str], seconds: float | None = None, *options: str) -> bool:
    """Run ``tests`` in ``copy``, and tell whether all pass within ``seconds``."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *options]
    env = os.environ | {"PYTHONPATH": str(copy)}
    try:
        done = subprocess.run(
            [*command, *tests], cwd=copy, env=env, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def reached(copy: Path, room: str) -> CoverageData:
    """Run the tests of a room, and return which of them reach which lines."""
    if not run(copy, [f"tests/{room}"], None, f"--cov=ghostify/{room}", "--cov-context=test"):
        sys.exit(f"error: the tests of {room} do not pass without a fault")
    data = CoverageData(str(copy / ".coverage"))
    data.read()
    return data


def is_noticed(fault: Fault, data: CoverageData, copy: Path, seconds: float) -> bool:
    """Put a fault into the copy, print it with its verdict, and take it out again."""
    source, line = fault.path.read_text(), fault.line
    contexts = data.contexts_by_lineno(str(fault.path)).get(line, [])
    tests = sorted({context.split("|")[0] for context in contexts} - {""})
    changed = fault.write()
    noticed = not run(copy, tests or [f"tests/{fault.path.relative_to(copy).parts[1]}"], seconds)
    fault.path.write_text(source)
    verdict = "noticed" if noticed else "MISSED "
    print(f"{verdict} {fault.path.relative_to(copy)}:{line}{changed}", flush=True)
    return noticed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("room", choices=sorted(p.name for p in (ROOT / "ghostify").glob("[a-z]*/")))
    parser.add_argument("--count", type=int, default=10, help="number of faults")
    parser.add_argument("--seed", type=int, default=0, help="chooses the faults")
    parser.add_argument("--file", default="**/*.py", help="pattern of the files in the room")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=IGNORED)
        start = time.perf_counter()
        data = reached(copy, options.room)
        seconds = 60 + TIMES_SLOWER * (time.perf_counter() - start)
        possible = [
            Fault(path, index)
            for path in sorted((copy / "ghostify" / options.room).glob(options.file))
            for index, _ in enumerate(faults(ast.parse(path.read_text())))
        ]
        chosen = random.Random(options.seed).sample(possible, min(options.count, len(possible)))
        noticed = sum(is_noticed(fault, data, copy, seconds) for fault in chosen)
    print(f"{options.room}: {noticed} of {len(chosen)} faults noticed")


if __name__ == "__main__":
    main()
