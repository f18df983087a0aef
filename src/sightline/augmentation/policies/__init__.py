"""Random sequences of fourteen operations: RandAugment and TrivialAugment."""
