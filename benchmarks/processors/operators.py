"""What each operator of the shipped models costs.

    python -m benchmarks.processors.operators [--json] [--model NAME …] [--rounds N] [--each]

A model is cut off after each of its operators, and each of these beginnings is run by the same
runtime on one thread, in turns with the others: an operator costs what a beginning takes more than
the one before it (one operator alone would not be given to XNNPACK, and take several times as
long). What is printed is processor time in microseconds, median, summed by kind and by the height ×
width of what comes out; `--each` prints every operator. Differences of a few microseconds are
chance, and below nothing, too: an operator that the runtime joins to the one after it is paid for
there. `_masked.py` runs it as on a processor without int8 dot products:

    python -m benchmarks.processors.without_dot_products --operators
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np

from benchmarks.vision import run_once, undisturbed
from edge_agent.vision.models.model import Interpreter, find_model, open_interpreter

MODELS = ("face-detector", "expression-accurate", "expression-fast")
IDENTIFIER = b"TFL3"
PAD = "PAD"
BLOCK = 8


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a model.

    Attributes:
        kind: its name in the file's format, such as ``CONV_2D``, and the padding before it.
        place: height × width of what comes out; empty where it has none.
        channels: of what comes out.
        kernel: height × width of a convolution's kernel; empty for others.
        beginning: the model up to it, as a model of its own.
    """

    kind: str
    place: str
    channels: int
    kernel: str
    beginning: bytes

    @property
    def name(self) -> str:
        """Return kind and kernel in one word."""
        if self.kernel:
            return f"{self.kind} {self.kernel}"
        return self.kind


def operators_of(file: Path) -> Iterator[Operator]:
    """Give the operators of a model in the order in which they run.

    Args:
        file: a TFLite model.
    """
    from ai_edge_litert import schema_py_generated as schema

    content = file.read_bytes()
    whole = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in whole.buffers:
        if buffer.offset > 1:  # its bytes stand behind the flatbuffer
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    names = {
        number: name
        for name, number in vars(schema.BuiltinOperator).items()
        if isinstance(number, int)
    }
    graph = whole.subgraphs[0]
    padded = ""
    for number, operator in enumerate(graph.operators):
        code = whole.operatorCodes[operator.opcodeIndex]
        kind = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if kind == PAD:  # the runtime joins it to the convolution that follows
            padded = "PAD + "
            continue
        shape = [int(size) for size in graph.tensors[operator.outputs[0]].shape]
        place = ""
        if len(shape) == 4:
            place = f"{shape[1]}×{shape[2]}"
        kernel = ""
        if "CONV" in kind:
            sizes = graph.tensors[operator.inputs[1]].shape
            kernel = f"{sizes[1]}×{sizes[2]}"
        yield Operator(padded + kind, place, shape[-1], kernel, beginning(whole, number + 1))
        padded = ""


def beginning(whole: Any, count: int) -> bytes:
    """Return the first operators of a model as a model; what nothing takes any more comes out.

    Args:
        whole: the model, as the schema's object.
        count: of operators.
    """
    model = copy.copy(whole)
    part = copy.copy(whole.subgraphs[0])
    part.operators = part.operators[:count]
    made = [int(index) for operator in part.operators for index in operator.outputs]
    taken = {int(index) for operator in part.operators for index in operator.inputs}
    part.outputs = [index for index in made if index not in taken]
    model.subgraphs = [part]
    model.signatureDefs = model.metadata = model.metadataBuffer = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def opened(content: bytes, name: str) -> Interpreter:
    """Return a model ready to run, its inputs filled by chance."""
    interpreter = open_interpreter(Path(name), content, 1)
    chance = np.random.default_rng(1)
    for detail in interpreter.get_input_details():
        kind = np.dtype(detail["dtype"])
        values: Any
        if kind.kind == "f":
            values = chance.normal(size=detail["shape"]).astype(kind)
        else:
            limits = np.iinfo(kind)
            values = chance.integers(limits.min, limits.max, detail["shape"], dtype=kind)
        interpreter.set_tensor(detail["index"], values)
    return interpreter


def measure(file: Path, rounds: int) -> list[tuple[Operator, float]]:
    """Return the operators of a model with the microseconds that each adds.

    Args:
        file: a TFLite model.
        rounds: turns of all.
    """
    operators = list(operators_of(file))
    runs = [opened(operator.beginning, operator.name) for operator in operators]
    times: list[list[tuple[float, bool]]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, spent in zip(runs, times, strict=True):
            run.invoke()
            spent += [run_once(run.invoke) for _ in range(BLOCK)]
    until = [0.0, *(1000 * statistics.median(undisturbed(spent)) for spent in times)]
    return [
        (operator, after - before)
        for operator, (before, after) in zip(operators, pairwise(until), strict=True)
    ]


def summed(each: list[tuple[Operator, float]], what: str) -> Mapping[str, float]:
    """Return microseconds by ``name`` or ``place`` of the operators, the costliest first."""
    sums: dict[str, float] = {}
    for operator, spent in each:
        key = getattr(operator, what) or "–"
        sums[key] = sums.get(key, 0.0) + spent
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument("--model", action="append", help="a shipped one, or a file; of three")
    parser.add_argument("--rounds", type=int, default=10, help=f"turns of {BLOCK} for each")
    parser.add_argument("--each", action="store_true", help="print every operator")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for name in options.model or MODELS:
        each = measure(find_model(name).with_suffix(".tflite"), options.rounds)
        whole = sum(spent for _, spent in each)
        figures[f"operators_{Path(name).stem.replace('-', '_')}_us"] = round(whole, 1)
        if options.json:
            continue
        print(f"{name}: {whole:.0f} µs")
        for what in ("name", "place"):
            for label, spent in summed(each, what).items():
                print(f"  {label:28} {spent:8.1f} µs {spent / whole:6.1%}")
        for operator, spent in each if options.each else []:
            shape = f"{operator.place} × {operator.channels}"
            print(f"    {operator.name:26} {shape:16} {spent:8.1f} µs")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
