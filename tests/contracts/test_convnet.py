"""Networks from patterns: what a pattern means, that its table is what the formulas say, and how a wrong one is told."""

from __future__ import annotations

import math

import pytest
import torch

from sightline.errors import UsageError
from sightline.layers.arithmetic import convolution_parameters, linear_parameters, output_size, same_padding
from sightline.models.create import create_model
from sightline.models.describe import describe
from sightline.models.early.pattern import build_layers, sequence, steps
from sightline.models.trace import trace

torch.set_num_threads(1)


def words(pattern: str) -> list[str]:
    return [step.text for step in steps(pattern)]


def test_repetitions_are_written_out() -> None:
    assert words("[CONV32-RELU-POOL]*2-FC10") == ["CONV32", "RELU", "POOL"] * 2 + ["FC10"]
    assert words("[[CONV8@5-TANH]*2-POOL3]*2") == (["CONV8@5", "TANH"] * 2 + ["POOL3"]) * 2
    assert words(" [fc7 - relu] - FC10 - softmax") == ["fc7", "relu", "FC10", "softmax"]


def test_table_of_a_pattern() -> None:
    table = trace("[CONV32-RELU-POOL]*2-[FC128-RELU]*1-FC10", (3, 32, 32))
    rows = [(row["kind"], row["output"], row["parameters"], row["receptive_field"]) for row in table["layers"]]
    assert rows == [
        ("Conv2d", [32, 32, 32], 896, 3),
        ("ReLU", [32, 32, 32], 0, 3),
        ("MaxPool2d", [32, 16, 16], 0, 4),
        ("Conv2d", [32, 16, 16], 9248, 8),
        ("ReLU", [32, 16, 16], 0, 8),
        ("MaxPool2d", [32, 8, 8], 0, 10),
        ("Flatten", [2048], 0, None),
        ("Linear", [128], 262_272, None),
        ("ReLU", [128], 0, None),
        ("Linear", [10], 1290, None),
    ]
    assert table["name"] == "[CONV32-RELU-POOL]*2-[FC128-RELU]*1-FC10"
    assert table["parameters"] == 896 + 9248 + 262_272 + 1290


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("[CONV32-RELU-POOL]*2-[FC128-RELU]*1-FC10", (3, 32, 32)),
        ("[[CONV6@5-TANH]*2-POOL]*2-CONV4@1-POOL3-[FC20-LEAKY_RELU]*3-FC5-SOFTMAX", (2, 37, 50)),
        ("[CONV8@7-ELU]*3-POOL", (1, 5, 9)),
        ("FC30-SIGMOID-FC2", (3, 7, 7)),
    ],
)
def test_formulas_agree_with_what_runs(pattern: str, size: tuple[int, int, int]) -> None:
    """Shapes, parameters and multiply-adds: `describe` measures, the formulas predict."""
    expected, shape = [], size
    for step in steps(pattern):
        count = cost = 0
        if step.kind == "CONV":
            kernel = step.kernel or 3
            count = convolution_parameters(shape[0], step.number, kernel)
            sides = [output_size(side, kernel, padding=same_padding(kernel)) for side in shape[1:]]
            shape = (step.number, *sides)
            cost = math.prod(sides) * (count - step.number)
        elif step.kind == "POOL":
            window = step.number or 2
            shape = (shape[0], *(output_size(side, window, stride=window) for side in shape[1:]))
        elif step.kind == "FC":
            if len(shape) == 3:
                shape = (math.prod(shape),)
                expected.append((list(shape), 0, 0))
            count = linear_parameters(shape[0], step.number)
            shape, cost = (step.number,), shape[0] * step.number
        expected.append((list(shape), count, cost))
    table = trace(pattern, size)
    assert [(row["output"], row["parameters"], row["multiply_adds"]) for row in table["layers"]] == expected
    assert [list(layer.output) for layer in build_layers(pattern, size)] == [output for output, _, _ in expected]
    x = torch.rand(2, *size, generator=torch.Generator().manual_seed(0))
    assert sequence(pattern, size)(x).shape == (2, *shape)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("CONV32-RLEU-FC10", "'RLEU' in the pattern is no layer.*did you mean 'RELU"),
        ("[cnv32-RELU]*2-FC10", "'cnv32' in the pattern is no layer.*did you mean 'CONV"),
        ("CONV-RELU", "'CONV' in the pattern is no layer.*did you mean 'CONV32"),
        ("CONV0", "'CONV0' in the pattern"),
        ("CONV8@0", "'CONV8@0' in the pattern"),
        ("POOL0", "'POOL0' in the pattern.*POOL3"),
        ("RELU5", "'RELU5' in the pattern.*did you mean 'RELU'"),
        ("FC10@3", "'FC10@3' in the pattern.*did you mean 'FC10'"),
        ("32CONV", "'32CONV' in the pattern.*did you mean 'CONV32"),
        ("", "'' in the pattern is no layer.*write for example"),
        ("CONV8--FC2", "'' in the pattern"),
        ("[CONV8-RELU-FC2", r"'\[' in the pattern belongs to no group"),
        ("CONV8*2", r"'\*' in the pattern belongs to no group"),
        ("[CONV8]*2FC3", "'CONV8FC3' in the pattern is no layer"),
        ("FC10-RELU-CONV3", r"CONV3 \(layer 3 of the pattern\) needs maps"),
        ("FC10-POOL", r"POOL \(layer 2 of the pattern\) needs maps"),
        ("CONV4@2", r"CONV4@2 \(layer 1 .*odd kernel"),
        ("SOFTMAX-FC3", r"SOFTMAX \(layer 1 .*put it last"),
        ("CONV3-SOFTMAX", r"SOFTMAX \(layer 2 .*behind an FC"),
    ],
)
def test_wrong_patterns(pattern: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trace(pattern, (3, 16, 16))


def test_too_few_pixels() -> None:
    """The layer is named, and the smallest image, exactly: one pixel less is refused."""
    pattern, least = "[CONV4-RELU-POOL]*3-CONV4-POOL3-FC2", 24
    assert sequence(pattern, (1, least, least + 3))(torch.zeros(1, 1, least, least + 3)).shape == (1, 2)
    with pytest.raises(UsageError, match=r"POOL3 \(layer 11 .* 3 pixels a side, and 2x3 are left.*at least 24x24"):
        trace(pattern, (1, least - 1, least + 3))
    with pytest.raises(UsageError, match=r"POOL \(layer 6 .* and 16x1 are left.*at least 24x24"):
        trace(pattern, (1, 32, 3))
    with pytest.raises(UsageError, match="no pixels"):
        trace(pattern, (1, 0, 3))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"widths": (4, 8, 6), "convs": 2, "kernel": 5, "image_size": (17, 24), "in_channels": 1},
        {"widths": (4, 4), "pool": False, "dense": (), "image_size": (6, 5)},
        {"widths": (3,), "dense": (7, 6, 5), "image_size": (9, 9), "num_classes": 0},
        {"widths": (3,), "dense": (), "image_size": (9, 9), "num_classes": 0},
    ],
)
def test_convnet_is_its_pattern(options: dict) -> None:
    network = create_model("convnet", **options)
    named, own = trace(network.pattern, network.input_size), describe(network, input=network.input_size)
    for part in ("parameters", "multiply_adds"):
        assert named[part] == own[part]
    columns = ("kind", "output", "parameters", "receptive_field")
    rows = [[[row[column] for column in columns] for row in table["layers"]] for table in (named, own)]
    assert rows[0] == [row for row in rows[1] if row[0] != "Identity"][: len(rows[0])]
    x = torch.rand(2, *network.input_size, generator=torch.Generator().manual_seed(0))
    maps = network.features(x)
    assert tuple(m.shape[1] for m in maps) == network.channels
    if options.get("num_classes", 10):
        copy = sequence(network.pattern, network.input_size)
        copy.load_state_dict(dict(zip(copy.state_dict(), network.state_dict().values(), strict=True)))
        assert torch.equal(copy(x), network(x))


def test_convnet_says_what_does_not_fit() -> None:
    for options, message in (
        ({"image_size": (3, 32)}, r"POOL \(layer 6 of the pattern\).*at least 4x4"),
        ({"kernel": 4}, r"CONV32@4 \(layer 1.*odd"),
        ({"widths": ()}, "use mlp"),
    ):
        with pytest.raises(UsageError, match=message):
            create_model("convnet", **options)
