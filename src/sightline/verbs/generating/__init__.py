"""Verbs that make images: what a network draws by itself."""
