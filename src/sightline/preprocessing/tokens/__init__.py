"""Text → numbers of tokens and back: characters, byte pairs, word pieces. Vocabularies are saved in the run."""
