"""Classical vision: features and learners as modules whose learned arrays are buffers, solved instead of descended.

    features    pixels → vectors: fixed functions, or with a dictionary that is learned without labels
    learners    vectors → class scores
    pipeline    the two joined, and how they are solved in chunks that a killed run resumes between

Everything takes batches of torch tensors and passes gradients to its pixels, so that attacks and explanations work.
"""
