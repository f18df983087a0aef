"""Kinds over single texts: `language` (masked, causal) and `text_classification`; BERT's tensors, and what is hidden."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

import sightline
from sightline.errors import UsageError
from sightline.models.language.bert import BagOfWords, Bert, from_published
from sightline.models.language.gpt import Gpt
from sightline.preprocessing.tokens.vocabulary import MASK
from sightline.tasks.language.language import hide

from . import tiny

SMALL = (*tiny.SHORT, "task.tokens=60", "task.vocabulary=word_pieces", "task.longest=16", "model.options.width=16")
NARROW = (*SMALL, "model.options.depth=1", "model.options.heads=2")
KEYS = {
    "masked": ("task.kind=language", "task.objective=masked", *NARROW),
    "causal": ("task.kind=language", *NARROW),
    "classes": ("task.kind=text_classification", *NARROW),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    words = ("good", "fine", "bad", "poor", "film", "play", "book", "day")
    for split, numbers in (("train", range(24)), ("val", range(24, 32)), ("test", range(32, 40))):
        lines = [
            f"{words[i % 4]} {words[4 + i % 3]} no {i // 10} {i % 10}\t{('up', 'down')[i % 4 > 1]}\n" for i in numbers
        ]
        (folder / f"{split}.tsv").write_text("text\tlabel\n" + "".join(lines))
    return folder


@pytest.fixture(scope="module", params=list(KEYS))
def run(request: pytest.FixtureRequest, folder: Path) -> sightline.Run:
    return tiny.train(folder, folder.parent / f"run-{request.param}", *KEYS[request.param])


def test_a_killed_training_ends_as_one_that_was_left_alone(folder: Path, run: sightline.Run) -> None:
    name = run.folder.name.removeprefix("run-")
    out = folder.parent / f"killed-{name}"
    assert tiny.killed(folder, out, 5, *KEYS[name]) == -signal.SIGKILL
    resumed = sightline.train(resume=out)
    assert tiny.weights(resumed) == tiny.weights(run)
    assert (out / "predictions/test.parquet").read_bytes() == (run.folder / "predictions/test.parquet").read_bytes()


def test_a_run_answers_texts(run: sightline.Run) -> None:
    rows = sightline.predict(run, ["good film no 7", "poor [MASK] no 3"]).rows
    if run.folder.name == "run-classes":
        assert all(row["label"] in ("up", "down") for row in rows)
        return
    first, second = (row["text"] for row in rows)
    if run.folder.name == "run-masked":
        assert "[MASK]" not in second and len(second.split()) >= 3
    else:
        assert first.startswith("good film no 7")
    assert "a token on 8 test texts" in (run.folder / "report.html").read_text()


def test_four_fifths_of_the_chosen_are_hidden() -> None:
    """80 % [MASK], 10 % another token, 10 % as they are; 15 % are chosen; special tokens and padding never."""
    index = torch.randint(5, 100, (500, 40), generator=torch.Generator().manual_seed(0))
    index[:, 0], index[:, -1] = 1, 2
    real = torch.ones_like(index, dtype=torch.bool)
    real[:, 30:] = False
    hidden = hide(index, real, torch.arange(500), 100)
    chosen = hidden.chosen
    assert not chosen[:, 0].any() and not chosen[:, 30:].any()
    assert torch.equal(hidden.tokens[~chosen], index[~chosen])
    n = int(chosen.sum())
    assert n / (500 * 29) == pytest.approx(0.15, abs=0.01)
    assert int((hidden.tokens[chosen] == MASK).sum()) / n == pytest.approx(0.8, abs=0.03)
    assert int((hidden.tokens[chosen] == index[chosen]).sum()) / n == pytest.approx(0.1, abs=0.02)
    again = hide(index[3:4], real[3:4], torch.tensor([3]), 100)
    assert torch.equal(again.tokens[0], hidden.tokens[3]), "a function of the text's key, whatever the batch"


def test_a_text_always_has_something_to_guess() -> None:
    index = torch.tensor([[1, 7, 2, 0]])
    for key in range(20):
        hidden = hide(index, index > 0, torch.tensor([key]), 9)
        assert hidden.chosen.tolist() == [[False, True, False, False]]


def _published(depth: int, width: int, tokens: int, longest: int) -> dict[str, torch.Tensor]:
    """Random tensors with the names and shapes of a published BERT."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (tokens, width),
        "embeddings.position_embeddings.weight": (longest, width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }

    def dense(name: str, outputs: int, inputs: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs), (outputs,)

    def norm(name: str) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)

    norm("embeddings.LayerNorm")
    for i in range(depth):
        for part in ("query", "key", "value"):
            dense(f"encoder.layer.{i}.attention.self.{part}", width, width)
        dense(f"encoder.layer.{i}.attention.output.dense", width, width)
        norm(f"encoder.layer.{i}.attention.output.LayerNorm")
        dense(f"encoder.layer.{i}.intermediate.dense", 4 * width, width)
        dense(f"encoder.layer.{i}.output.dense", width, 4 * width)
        norm(f"encoder.layer.{i}.output.LayerNorm")
    dense("pooler.dense", width, width)
    state = {f"bert.{name}": torch.randn(shape) for name, shape in shapes.items()}
    heads = {
        "transform.dense.weight": (width, width), "transform.dense.bias": (width,), "transform.LayerNorm.weight": (width,),
        "transform.LayerNorm.bias": (width,), "bias": (tokens,),
    }  # fmt: skip
    state |= {f"cls.predictions.{name}": torch.randn(shape) for name, shape in heads.items()}
    state |= {"cls.seq_relationship.weight": torch.randn(2, width), "cls.seq_relationship.bias": torch.randn(2)}
    return state | {"cls.predictions.decoder.weight": state["bert.embeddings.word_embeddings.weight"]}


def test_published_names_of_bert_base_load_strictly() -> None:
    with torch.device("meta"):
        network = Bert(30_522, width=768, depth=12, heads=12, longest=512)
        own = from_published(_published(12, 768, 30_522, 512))
    assert {name: tensor.shape for name, tensor in network.state_dict().items()} == {n: t.shape for n, t in own.items()}
    assert sum(p.numel() for p in network.parameters()) == 110_106_428, "BertForPreTraining's"
    with pytest.raises(UsageError, match="is no tensor of BERT"):
        from_published({"roberta.x.weight": torch.zeros(1)})


def test_outputs_equal_a_reference_written_from_the_published_names() -> None:
    """torch's own post-norm encoder layers, fed with the published tensors, beside ours."""
    torch.manual_seed(0)
    state = _published(2, 16, 30, 12)
    network = Bert(30, width=16, depth=2, heads=4, longest=12).eval()
    network.load_state_dict(from_published(state))
    index, mask = torch.randint(0, 30, (2, 7)), torch.arange(7)[None] < torch.tensor([[7], [5]])
    segment = (torch.arange(7) > 3).long().expand(2, 7)
    get = {name.removeprefix("bert."): tensor for name, tensor in state.items()}
    x = get["embeddings.word_embeddings.weight"][index] + get["embeddings.position_embeddings.weight"][:7]
    x = x + get["embeddings.token_type_embeddings.weight"][segment]
    norm = "embeddings.LayerNorm"
    x = torch.nn.functional.layer_norm(x, (16,), get[f"{norm}.weight"], get[f"{norm}.bias"], 1e-12)
    for i in range(2):
        layer = torch.nn.TransformerEncoderLayer(16, 4, 64, 0.0, "gelu", 1e-12, batch_first=True).eval()
        at = f"encoder.layer.{i}."
        three = [get[f"{at}attention.self.{part}.weight"] for part in ("query", "key", "value")]
        biases = [get[f"{at}attention.self.{part}.bias"] for part in ("query", "key", "value")]
        names = {
            "self_attn.out_proj": "attention.output.dense", "norm1": "attention.output.LayerNorm",
            "linear1": "intermediate.dense", "linear2": "output.dense", "norm2": "output.LayerNorm",
        }  # fmt: skip
        own = {
            f"{ours}.{leaf}": get[f"{at}{name}.{leaf}"] for ours, name in names.items() for leaf in ("weight", "bias")
        }
        layer.load_state_dict(
            {"self_attn.in_proj_weight": torch.cat(three), "self_attn.in_proj_bias": torch.cat(biases)} | own
        )
        with torch.no_grad():
            x = layer.train()(x, src_key_padding_mask=~mask)
    torch.testing.assert_close(network.encode(index, mask, segment)[mask], x[mask], rtol=1e-4, atol=1e-4)


def test_outputs_equal_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=12,
    )  # fmt: skip
    theirs = transformers.BertForPreTraining(config).eval()
    ours = Bert(50, width=16, depth=2, heads=4, longest=12).eval()
    ours.load_state_dict(from_published(theirs.state_dict()))
    index, mask = torch.randint(0, 50, (2, 7)), torch.arange(7)[None] < torch.tensor([[7], [5]])
    segment = (torch.arange(7) > 3).long().expand(2, 7)
    expected = theirs(index, attention_mask=mask.long(), token_type_ids=segment)
    hidden = ours.encode(index, mask, segment)
    torch.testing.assert_close(ours.words(hidden)[mask], expected.prediction_logits[mask], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.follows(hidden), expected.seq_relationship_logits, rtol=1e-4, atol=1e-5)


def test_a_language_model_with_a_cache_is_the_full_pass() -> None:
    torch.manual_seed(0)
    network, index = Gpt(20, width=16, heads=2, longest=12, positions="rotary").eval(), torch.randint(5, 20, (2, 6))
    state = network.start()
    steps = torch.stack([network.step(index[:, i : i + 1], state) for i in range(6)], 1)
    torch.testing.assert_close(steps, network(index), rtol=1e-5, atol=1e-5)


def test_a_bag_of_words_knows_neither_order_nor_number() -> None:
    bag = BagOfWords(9, 2)
    torch.nn.init.normal_(bag.weight)
    once, more = torch.tensor([[5, 6, 7, 0]]), torch.tensor([[7, 5, 5, 6]])
    torch.testing.assert_close(bag(once, once > 0), bag(more, more > 0))
