"""Vocabularies of byte pairs and word pieces, equal to the package tokenizers where that is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import DataError
from sightline.preprocessing.tokens.byte_pairs import BytePairs, words_of
from sightline.preprocessing.tokens.pairs import learn_merges
from sightline.preprocessing.tokens.saved import learn_vocabulary, vocabulary_of
from sightline.preprocessing.tokens.vocabulary import END, SPECIAL, START, UNKNOWN
from sightline.preprocessing.tokens.word_pieces import WordPieces

TEXTS = [
    "A man in an orange hat starring at something.",
    "Un homme avec un chapeau orange regardant quelque chose.",
    "It's 25 o'clock   now, isn't it?\tYes!  ",
    "Des gens réparent le toit d'une maison – ½ prix, ²³ … 猫が好き 😀",
    "aaa aaaa aaaaa banana bananas",
] * 3


def test_the_most_frequent_pair_is_merged_first():
    words = {("l", "o", "w"): 5, ("l", "o", "t"): 2, ("n", "e", "w"): 6}
    tokens, merges = learn_merges(words, sorted("lowtne"), 9)
    assert merges == [("l", "o"), ("e", "w"), ("n", "ew")]
    assert tokens[6:] == ["lo", "ew", "new"]


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_text_comes_back_from_its_bytes(text: str):
    assert "".join(words_of(text)) == text
    vocabulary = _pairs()
    assert vocabulary.decode(vocabulary.encode(text)) == text


def _pairs(known: dict[str, BytePairs] = {}) -> BytePairs:  # noqa: B006 - learned once
    if "" not in known:
        known[""] = BytePairs.learn(TEXTS, 400)
    return known[""]


def test_byte_pairs_equal_tokenizers(tmp_path: Path):
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.ByteLevelBPETokenizer()
    theirs.train_from_iterator(
        TEXTS, vocab_size=400, min_frequency=0, special_tokens=list(SPECIAL), show_progress=False
    )
    ours = _pairs()
    assert {token: i for i, token in enumerate(ours.tokens)} == theirs.get_vocab()
    for text in (*TEXTS, "never seen: Zürich 1648  'quoted' don't  \n end"):
        assert ours.encode(text) == theirs.encode(text).ids
    theirs.save_model(str(tmp_path))
    read = BytePairs.read(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert read.tokens == ours.tokens and read.merges == ours.merges


def test_word_pieces_equal_tokenizers(tmp_path: Path):
    tokenizers = pytest.importorskip("tokenizers")
    ours = WordPieces.learn(TEXTS, 150)
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(ours.tokens), "utf-8")
    theirs = tokenizers.BertWordPieceTokenizer(str(file))
    for text in (*TEXTS, "banana's bandana", "tab\tand\x00control", "ÀÉÎ", "zzz unknown ж"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids
    assert WordPieces.read(file) == ours


def test_word_pieces_take_the_longest_piece_first():
    vocabulary = WordPieces((*SPECIAL, "un", "##aff", "##able", "##a", "u"))
    assert [vocabulary.tokens[i] for i in vocabulary.encode("Unaffable")] == ["un", "##aff", "##able"]
    assert vocabulary.encode("unknown") == [UNKNOWN]
    assert vocabulary.decode(vocabulary.encode("unaffable un")) == "unaffable un"


@pytest.mark.parametrize("form", ["byte_pairs", "word_pieces", "characters"])
def test_a_vocabulary_comes_back_from_its_json(form: str):
    vocabulary = learn_vocabulary(form, TEXTS, 300)  # type: ignore[arg-type]
    again = vocabulary_of(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    numbers = again.sequence(TEXTS[0], 9)
    assert numbers[0] == START and numbers[-1] == END and len(numbers) == 9


def test_files_that_are_no_vocabulary_are_refused(tmp_path: Path):
    (tmp_path / "a.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match="no piece"):
        WordPieces.read(tmp_path / "a.txt")
    with pytest.raises(DataError, match="no vocabulary of byte pairs"):
        BytePairs.read(tmp_path / "a.txt", tmp_path / "a.txt")
